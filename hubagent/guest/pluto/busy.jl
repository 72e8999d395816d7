# Says in a file since when cells run (unix time, of the notebook that began last); there is no file while none does.
# hubagent/guest/busy.py reads it: a running cell is activity of the user's server, with its page closed too.

module Busy

const EVERY = 2.0 # seconds
const FILE = pop!(ENV, "HUBAGENT_PLUTO_BUSY", "") # notebooks need not know it

runs(notebook) = any(cell -> cell.running || cell.queued, notebook.cells)

# Begin to report, once it is known whose Pluto this is: before that nothing runs.
function report(session)
    isempty(FILE) && return
    since = Dict{Any,Float64}()
    Timer(_ -> check(session, since), 0.0; interval = EVERY)
end

function check(session, since)
    try
        busy = Set(id for (id, notebook) in session.notebooks if runs(notebook))
        filter!(pair -> pair.first in busy, since)
        foreach(id -> get!(since, id, time()), busy)
        isempty(since) ? rm(FILE; force = true) : replace(maximum(values(since)))
    catch error
        @warn "what runs in Pluto cannot be reported" error maxlog = 1
    end
end

# Whole or not at all: it is read at any time.
function replace(moment)
    write(FILE * ".new", string(moment))
    mv(FILE * ".new", FILE; force = true)
end

end
