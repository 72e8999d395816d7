# Stands in for Pluto, which cannot be installed without its package server: the names that hubagent uses, with the
# same arguments, and a server whose page says what the process was told. Answers websockets with an echo.
module Pluto

import Base64
import SHA
import Sockets

const PLUTO_VERSION = v"0.20.21"
const loaded_with = copy(DEPOT_PATH)

module Configuration
from_flat_kwargs(; kwargs...) = Dict{Symbol,Any}(kwargs)
end

module WorkspaceManager

module Malt
struct Worker
    number::Int
end
isrunning(::Worker) = true
evaluated = []
remote_eval_wait(worker, expression) = push!(evaluated, expression)
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
    options::Dict{Symbol,Any}
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
            "host $(options[:host])",
            "links $(options[:require_secret_for_open_links])",
            "access $(options[:require_secret_for_access])",
            "browser $(options[:launch_browser])",
            "depots $(join(DEPOT_PATH, ","))",
            "loaded_with $(join(loaded_with, ","))",
            "worker $(worker.number)",
            "configuration $(get(ENV, "JUPYTER_CONFIG_PATH", ""))",
        ]
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
