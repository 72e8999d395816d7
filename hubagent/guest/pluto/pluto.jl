# Pluto on 127.0.0.1 for jupyter-server-proxy:  julia pluto.jl PORT [REPORT]     or: julia pluto.jl version
#
# JupyterHub has authenticated whoever comes here, so Pluto asks for no secret at its first page, which sets the cookie
# with it; everything else, links that open notebooks above all, needs the cookie (or any page could make a user's
# browser run code). With REPORT it was started before its user came: it writes `w` to this file number when it
# listens, with what did not become warm, in words, behind it, and waits on standard input for the message of
# kernels/spare.py. It ends when standard input does.

const ABSENT = 3
const PLUTO = "c3e4b0f8-55cb-11ea-2926-15256bba5781"

Base.find_package("Pluto") === nothing && exit(ABSENT)

if ARGS == ["version"]
    project = joinpath(dirname(dirname(Base.find_package("Pluto"))), "Project.toml")
    found = match(r"^version *= *\"(.*)\""m, read(project, String))
    println(found === nothing ? "unknown" : found[1])
    exit()
end

# Pluto keeps the environment of its notebook processes in a scratch space of the first depot, and makes it anew for a
# user whose depot comes first. The depot that the image made it in comes first while Pluto is loaded. Before the user
# has come the first is one of this process alone (kernels/spare.py): the user's is not there yet.
const DEPOTS = copy(DEPOT_PATH)
sort!(DEPOT_PATH; by = depot -> !isdir(joinpath(depot, "scratchspaces", PLUTO)))
import Pluto
copy!(DEPOT_PATH, DEPOTS)

module HubagentPluto

import Pluto
include("worker.jl")
include("rehearsal.jl")
include("busy.jl")

function start(port)
    ai = pop!(ENV, "HUBAGENT_AI", "") == "yes"
    optional = hasfield(Pluto.Configuration.ServerOptions, :enable_ai_editor_features)
    session = Pluto.ServerSession(;
        options = Pluto.Configuration.from_flat_kwargs(;
            host = "127.0.0.1",
            port = port,
            launch_browser = false,
            dismiss_update_notification = true,
            require_secret_for_open_links = true,
            require_secret_for_access = false,
            (optional ? (enable_ai_editor_features = ai,) : NamedTuple())...,
        ),
    )
    return session, Pluto.run!(session)
end

function say(report, lacks)
    words = "w" * first(lacks, 1000)
    ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), report, words, sizeof(words))
    ccall(:close, Cint, (Cint,), report)
end

# The user's environment and folder, once they are known; then until standard input ends.
function follow(session)
    parts = split(readuntil(stdin, "\0end\n"), '\0')
    parts[1] == "hubagent 1" || exit(0)
    ccall(:umask, Cuint, (Cuint,), parse(Int, parts[2]; base = 8))
    environment = [Pair(String.(split(pair, '='; limit = 2))...) for pair in parts[5:end]]
    names = Set(first.(environment))
    foreach(name -> name in names || startswith(name, "OPENBLAS_") || delete!(ENV, name), collect(keys(ENV)))
    foreach(pair -> ENV[pair.first] = pair.second, environment)
    cd(String(parts[3]))
    session.options.server.notebook_path_suggestion = joinpath(pwd(), "") # was made of an earlier folder
    empty!(DEPOT_PATH)
    Base.init_depot_path()
    Worker.adopt(environment)
    Busy.report(session)
    read(stdin)
    exit(0)
end

function main(port, report = nothing)
    session, server = start(port)
    if report === nothing
        Busy.report(session)
        return wait(server)
    end
    lacks = [Rehearsal.rehearse(session, port), Worker.keep()]
    say(report, join(filter(!isempty, lacks), "; "))
    follow(session)
end

end

HubagentPluto.main(parse.(Int, ARGS)...)
