# One notebook process that waits, for the versions of Pluto whose WorkspaceManager.create_workspaceprocess is known to
# be the one that this goes around. Off with HUBAGENT_PLUTO_WORKER=no in the environment of the server.

module Worker

import ..Pluto

const KNOWN = ("0.20.21", "1.0.0", "1.0.1", "1.0.2")
const waiting = Ref{Any}(nothing) # a task that gives a worker, with its flags
const environment = Ref{Any}(nothing) # the user's, once known

known() = isdefined(Pluto, :PLUTO_VERSION) && string(Pluto.PLUTO_VERSION) in KNOWN
on() = known() && get(ENV, "HUBAGENT_PLUTO_WORKER", "yes") != "no"

# Begin to keep one waiting.
function keep()
    on() || return
    Core.eval(
        Pluto.WorkspaceManager,
        :(function create_workspaceprocess(
            kind::Type{Malt.Worker};
            compiler_options = CompilerOptions(),
            status::Status.Business = Status.Business(),
        )
            worker = $take(_convert_to_flags(compiler_options))
            if worker === nothing
                return invoke(create_workspaceprocess, Tuple{Any}, kind; compiler_options, status)
            end
            Status.report_business_finished!(status)
            return worker
        end),
    )
    Base.invokelatest(make)
end

function make()
    manager = Pluto.WorkspaceManager
    options = manager.CompilerOptions()
    flags = manager._convert_to_flags(options)
    task = @async invoke(manager.create_workspaceprocess, Tuple{Any}, manager.Malt.Worker; compiler_options = options)
    waiting[] = (flags, task, environment[] === nothing)
end

# The waiting worker, or nothing when there is none that can be what is asked for.
function take(flags)
    waiting[] === nothing && return nothing
    has, task, anonymous = waiting[]
    has == flags || return nothing
    waiting[] = nothing
    Timer(_ -> waiting[] === nothing && Base.invokelatest(make), 5.0)
    Malt = Pluto.WorkspaceManager.Malt
    try
        worker = fetch(task)
        Malt.isrunning(worker) || return nothing
        anonymous && environment[] !== nothing && Malt.remote_eval_wait(worker, adoption(environment[]))
        return worker
    catch error
        @warn "the waiting notebook process cannot be used" error
        return nothing
    end
end

# What a worker that was started before its user came has to take over.
function adoption(pairs)
    quote
        for (name, value) in $pairs
            ENV[name] = value
        end
        empty!(DEPOT_PATH)
        Base.init_depot_path()
    end
end

# A start of Julia is what reads some variables: then the one that waits is of no use.
function adopt(pairs)
    late = ("JULIA_DEPOT_PATH", "JULIA_LOAD_PATH", "JULIA_PROJECT")
    started = Dict(pairs)
    fixed = name -> startswith(name, "JULIA_") && !(name in late)
    changed = any(name -> fixed(name) && get(started, name, nothing) != get(before, name, nothing), union(keys(started), keys(before)))
    environment[] = pairs
    if changed && waiting[] !== nothing
        task = waiting[][2]
        waiting[] = nothing
        @async Pluto.WorkspaceManager.Malt.stop(fetch(task))
    end
end

const before = Dict(pairs(ENV))

end
