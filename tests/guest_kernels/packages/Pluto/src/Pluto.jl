# Stands in for Pluto, which cannot be installed without its package server: the names that hubagent uses, with the
# same arguments, and a server whose page says what the process was told. Answers websockets with an echo.
module Pluto

import Base64
import SHA
import Sockets

const PLUTO_VERSION = v"0.20.21"
const loaded_with = copy(DEPOT_PATH)

module Configuration

const pwd_ref = Ref{String}()
function __init__()
    pwd_ref[] = pwd()
end

# As in Pluto 0.17 to 1.0: made once, of the folder that the process was started in.
suggestion() = string(joinpath(startswith(Sys.BINDIR, pwd_ref[]) ? homedir() : pwd_ref[], ""))

mutable struct ServerOptions
    notebook_path_suggestion::String
    enable_ai_editor_features::Bool
end

struct Options
    server::ServerOptions
    flat::Dict{Symbol,Any}
end
Base.getindex(options::Options, name) = options.flat[name]
from_flat_kwargs(; enable_ai_editor_features = true, kwargs...) =
    Options(ServerOptions(suggestion(), enable_ai_editor_features), Dict{Symbol,Any}(kwargs))

end

function new_notebooks_directory()
    path = get(ENV, "JULIA_PLUTO_NEW_NOTEBOOKS_DIR", joinpath(first(DEPOT_PATH), "pluto_notebooks"))
    isdir(path) || mkdir(path)
    return path
end

# The real one keeps the environment of its notebook processes here, and cannot be loaded where it cannot be made.
const scratch = Ref{String}()
function __init__()
    scratch[] = mkpath(joinpath(first(DEPOT_PATH), "scratchspaces", "c3e4b0f8-55cb-11ea-2926-15256bba5781", "environment"))
end

module WorkspaceManager

module Malt
struct Worker
    number::Int
    main::Module # with an environment of its own, as another process has
end
function Worker(number)
    main = Module()
    Core.eval(main, :(const ENV = $(Dict(pairs(ENV)))))
    return Worker(number, main)
end
isrunning(::Worker) = true
remote_eval_wait(worker, expression) = Core.eval(worker.main, expression)
stop(::Worker) = nothing
end

module Status
struct Business end
report_business_finished!(::Business) = nothing
end

struct CompilerOptions end
_convert_to_flags(::CompilerOptions) = ["--threads=1"]
const made = Ref(0)

function create_workspaceprocess(WorkerType; compiler_options = CompilerOptions(), status::Status.Business = Status.Business())
    made[] += 1
    return WorkerType(made[])
end

end

struct Cell
    running::Bool
    queued::Bool
end

struct Notebook
    cells::Vector{Cell}
end

struct ServerSession
    options::Configuration.Options
    notebooks::Dict{UInt64,Notebook}
end
ServerSession(; options) = ServerSession(options, Dict{UInt64,Notebook}())

struct RunningPlutoServer
    server::Any
end
Base.wait(running::RunningPlutoServer) = wait(Condition())

function run!(session::ServerSession)
    options = session.options
    server = Sockets.listen(Sockets.IPv4(options[:host]), options[:port])
    @async while true
        connection = Sockets.accept(server)
        @async serve(connection, session)
    end
    return RunningPlutoServer(server)
end

# `/run` opens a notebook with a cell that does not end, `/interrupt` ends all.
function serve(connection, session)
    options = session.options
    request = readuntil(connection, "\r\n\r\n")
    startswith(request, "GET /run ") && (session.notebooks[time_ns()] = Notebook([Cell(false, false), Cell(true, false)]))
    startswith(request, "GET /interrupt ") && foreach(id -> session.notebooks[id] = Notebook([Cell(false, false)]), keys(session.notebooks))
    key = match(r"Sec-WebSocket-Key: *(\S+)"i, request)
    if key !== nothing
        accept = Base64.base64encode(SHA.sha1(key[1] * "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
        write(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n")
        echo(connection)
    else
        worker = WorkspaceManager.create_workspaceprocess(WorkspaceManager.Malt.Worker)
        facts = [
            "path $(split(request)[2])",
            "pid $(getpid())",
            "folder $(pwd())",
            "user $(get(ENV, "OF_THE_USER", ""))",
            "ai $(options.server.enable_ai_editor_features)",
            "host $(options[:host])",
            "links $(options[:require_secret_for_open_links])",
            "access $(options[:require_secret_for_access])",
            "browser $(options[:launch_browser])",
            "depots $(join(DEPOT_PATH, ","))",
            "loaded_with $(join(loaded_with, ","))",
            "worker $(worker.number)",
            "worker_has $(join(keys(worker.main.ENV), ","))",
            "suggestion $(options.server.notebook_path_suggestion)",
            "scratch $(scratch[])",
            "configuration $(get(ENV, "JUPYTER_CONFIG_PATH", ""))",
        ]
        if startswith(split(request)[2], "/new")
            path = joinpath(new_notebooks_directory(), "Cute discovery.jl")
            write(path, "### A Pluto.jl notebook ###\n")
            push!(facts, "made $path")
        end
        body = join(facts, "\n")
        write(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: $(sizeof(body))\r\nConnection: close\r\n\r\n$body")
    end
    close(connection)
end

# One short text frame (RFC 6455, 5.2), unmasked on the way back.
function echo(connection)
    while !eof(connection)
        first, second = read(connection, 2)
        mask = read(connection, 4)
        payload = read(connection, second & 0x7f)
        first & 0x0f == 0x01 || return
        text = [payload[i] ⊻ mask[mod1(i, 4)] for i in eachindex(payload)]
        write(connection, UInt8[0x81, length(text)], text)
    end
end

end
