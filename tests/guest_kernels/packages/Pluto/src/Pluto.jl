# Stands in for Pluto, which cannot be installed without its package server: the names that hubagent uses, with the
# same arguments, and a server whose page says what the process was told. Answers text over websockets with an echo, and
# what its editor would send as far as pluto.jl does; messages are packed by Serialization.
module Pluto

import Base64
import SHA
import Serialization
import Sockets
import UUIDs

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

mutable struct EvaluationOptions
    lazy_workspace_creation::Bool
    run_notebook_on_load::Bool
end

struct Options
    server::ServerOptions
    evaluation::EvaluationOptions
    flat::Dict{Symbol,Any}
end
Base.getindex(options::Options, name) = options.flat[name]
from_flat_kwargs(; enable_ai_editor_features = true, kwargs...) =
    Options(ServerOptions(suggestion(), enable_ai_editor_features), EvaluationOptions(false, true), Dict{Symbol,Any}(kwargs))

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

mutable struct Output
    body::Any
end

mutable struct Cell
    cell_id::UUIDs.UUID
    code::String
    running::Bool
    queued::Bool
    output::Output
end
Cell(; code = "", running = false, id = UUIDs.uuid4()) = Cell(id, code, running, false, Output(nothing))

struct Notebook
    notebook_id::UUIDs.UUID
    cells::Vector{Cell}
end
Notebook(cells) = Notebook(UUIDs.uuid4(), cells)

struct ServerSession
    options::Configuration.Options
    secret::String
    notebooks::Dict{UUIDs.UUID,Notebook}
end
ServerSession(; options) = ServerSession(options, string(UUIDs.uuid4()), Dict{UUIDs.UUID,Notebook}())

pack(message) = (buffer = IOBuffer(); Serialization.serialize(buffer, message); take!(buffer))
unpack(bytes) = Serialization.deserialize(IOBuffer(bytes))

module SessionActions
import ..Pluto
const ended = Ref(0)
function shutdown(session, notebook)
    delete!(session.notebooks, notebook.notebook_id)
    ended[] += 1
end
end

const opened_notebooks = Ref(0)

# One cell in a file of Pluto's form.
function open_notebook(session, path)
    id, code = match(r"# ╔═╡ (\S{36})\n(.*)"m, read(path, String)).captures
    return open_notebook(session, Cell(; code = code, id = UUIDs.UUID(id)))
end

function open_notebook(session, cell::Cell)
    notebook = Notebook([cell])
    session.notebooks[notebook.notebook_id] = notebook
    opened_notebooks[] += 1
    evaluation = session.options.evaluation
    evaluation.lazy_workspace_creation || WorkspaceManager.create_workspaceprocess(WorkspaceManager.Malt.Worker)
    evaluation.run_notebook_on_load && run_cell(cell)
    return notebook
end

run_cell(cell) = cell.output = Output(string(Core.eval(Main, Meta.parse(cell.code))))

struct RunningPlutoServer
    server::Any
end
Base.wait(running::RunningPlutoServer) = wait(Condition())

function run!(session::ServerSession)
    options = session.options
    server = Sockets.listen(Sockets.IPv4(options[:host]), options[:port])
    @async while true
        connection = Sockets.accept(server)
        @async try
            serve(connection, session)
        finally
            close(connection)
        end
    end
    return RunningPlutoServer(server)
end

# `/run` opens a notebook with a cell that does not end, `/interrupt` ends all.
function serve(connection, session)
    options = session.options
    request = readuntil(connection, "\r\n\r\n")
    if startswith(request, "GET /run ")
        notebook = Notebook([Cell(), Cell(; running = true)])
        session.notebooks[notebook.notebook_id] = notebook
    end
    startswith(request, "GET /interrupt ") && foreach(one -> foreach(cell -> cell.running = false, one.cells), values(session.notebooks))
    has_secret = occursin("secret=$(session.secret)", request)
    opened = match(r"GET /(?:open\?path=([^& ]+)|new)", request)
    is_editors = opened !== nothing && has_secret
    key = match(r"Sec-WebSocket-Key: *(\S+)"i, request)
    if key !== nothing
        accept = Base64.base64encode(SHA.sha1(key[1] * "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
        write(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n")
        answer(connection, session)
    elseif is_editors
        id = open_notebook(session, opened[1] === nothing ? Cell() : opened[1]).notebook_id
        write(connection, "HTTP/1.1 302 Found\r\nLocation: ./edit?id=$id\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elseif has_secret
        write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
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
            "notebooks $(length(session.notebooks))",
            "ended $(SessionActions.ended[])",
            "opened $(opened_notebooks[])",
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

# Frames of RFC 6455, 5.2: text comes back as it is, what the editor says is done.
function answer(connection, session)
    while !eof(connection)
        first, second = read(connection, 2)
        size = Int(second & 0x7f)
        size == 126 && (size = Int(ntoh(read(connection, UInt16))))
        mask = read(connection, 4)
        payload = read(connection, size)
        payload = [payload[i] ⊻ mask[mod1(i, 4)] for i in eachindex(payload)]
        kind = first & 0x0f
        kind == 0x01 && reply(connection, 0x81, payload)
        kind == 0x02 && reply(connection, 0x82, pack(told(session, unpack(payload))))
        kind in (0x01, 0x02) || return
    end
end

function reply(connection, first, bytes)
    size = length(bytes)
    head = size < 126 ? UInt8[first, size] : UInt8[first, 126, size >> 8, size & 0xff]
    write(connection, vcat(head, bytes))
end

function told(session, message)
    notebook = haskey(message, "notebook_id") ? session.notebooks[UUIDs.UUID(message["notebook_id"])] : nothing
    body = message["body"]
    for patch in get(body, "updates", [])
        named(notebook, patch["path"][2]).code = patch["value"]
    end
    foreach(id -> run_cell(named(notebook, id)), get(body, "cells", []))
    return Dict("request_id" => message["request_id"])
end

named(notebook, id) = only(cell for cell in notebook.cells if string(cell.cell_id) == id)

end
