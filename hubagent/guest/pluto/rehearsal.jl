# One notebook of nobody's, opened, run, edited and closed by Pluto's own port, as a browser does it: what Pluto compiles
# for its first notebook is compiled before the user comes. Nothing of it is left: its files are in a folder that goes, or in
# the depot that is first until then. It takes memory, too: HUBAGENT_PLUTO_REHEARSAL=no in the environment of the server leaves
# it to the user's first notebook.

module Rehearsal

import ..Pluto
import Sockets

const CELL = "0a5f8f52-7d3a-11ee-2b1a-6d0c1a2b3c4d"
const NOTEBOOK = """
### A Pluto.jl notebook ###
# v0.19.28

using Markdown
using InteractiveUtils

# ╔═╡ $CELL
1 + 1

# ╔═╡ Cell order:
# ╠═$CELL
"""
const is_meant = pop!(ENV, "HUBAGENT_PLUTO_REHEARSAL", "yes") != "no"
const PATIENCE = 250.0 # seconds for a cell or an answer; what computes nothing for 300 is given up (kernels/spare.py)

# What did not become warm, in words for people.
function rehearse(session, port)
    is_meant || return ""
    folder = mktempdir()
    home = pwd()
    try
        withenv("JULIA_PLUTO_NEW_NOTEBOOKS_DIR" => folder, "TMPDIR" => folder) do
            browse(session, port, folder)
            create(session, port)
        end
        return ""
    catch error
        return "the first notebook of Pluto compiles what it needs: " * first(split(sprint(showerror, error), '\n'))
    finally
        foreach(notebook -> Pluto.SessionActions.shutdown(session, notebook), collect(values(session.notebooks)))
        cd(home)
        rm(folder; recursive = true, force = true)
        GC.gc()
        ccall(:malloc_trim, Cint, (Csize_t,), 0)
    end
end

# First page, editor, a completion, an edit of the cell.
function browse(session, port, folder)
    list(session, port, folder)
    file = joinpath(folder, "rehearsal.jl")
    write(file, NOTEBOOK)
    client = edit(session, port, "/open?path=$file&execution_allowed=true")
    cell = only(only(values(session.notebooks)).cells)
    tell(client, "complete", "query" => "sq")
    await(cell, "2")
    change = Dict("op" => "replace", "path" => ["cell_inputs", CELL, "code"], "value" => "2 + 3")
    ask(client, "update_notebook", "updates" => [change])
    tell(client, "run_multiple_cells", "cells" => [CELL])
    await(cell, "5")
    leave(client)
end

# A new notebook, whose process, which is what costs most, is not started.
function create(session, port)
    evaluation = session.options.evaluation
    usual = evaluation.lazy_workspace_creation, evaluation.run_notebook_on_load
    evaluation.lazy_workspace_creation, evaluation.run_notebook_on_load = true, false
    before = collect(keys(session.notebooks))
    try
        leave(edit(session, port, "/new"))
    finally
        foreach(id -> delete!(session.notebooks, id), setdiff(keys(session.notebooks), before))
        evaluation.lazy_workspace_creation, evaluation.run_notebook_on_load = usual
    end
end

# What the editor's page does first.
function edit(session, port, path)
    editor = match(r"edit\?id=([-0-9a-f]+)", page(session, port, path))
    editor === nothing && error("it does not open a notebook")
    page(session, port, "/" * editor.match)
    client = connect(session, port, editor[1])
    ask(client, "ping")
    ask(client, "update_notebook", "updates" => [])
    return client
end

function list(session, port, folder)
    page(session, port, "/")
    client = connect(session, port)
    ask(client, "get_all_notebooks")
    ask(client, "completepath", "query" => joinpath(folder, ""))
    leave(client)
end

function await(cell, result)
    done() = !cell.running && !cell.queued && cell.output.body == result
    timedwait(done, PATIENCE; pollint = 0.05) === :ok || error("a cell gives no result")
end

# What does not answer in time is left.
function dial(port)
    stream = Sockets.connect(Sockets.localhost, port)
    Timer(_ -> close(stream), PATIENCE)
    return stream
end

# One answer, with its head.
function page(session, port, path)
    stream = dial(port)
    write(stream, "GET $path HTTP/1.1\r\nHost: 127.0.0.1:$port\r\nCookie: secret=$(session.secret)\r\nConnection: close\r\n\r\n")
    answer = read(stream, String)
    close(stream)
    return answer
end

mutable struct Client
    stream::Sockets.TCPSocket
    name::String
    notebook::Any # its id, or nothing
    asked::Int
end

# A websocket (RFC 6455). Nobody is in between, so the key is the document's own example, and masks are zeros.
function connect(session, port, notebook = nothing)
    stream = dial(port)
    head = (
        "GET / HTTP/1.1",
        "Host: 127.0.0.1:$port",
        "Cookie: secret=$(session.secret)",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    write(stream, join(head, "\r\n"), "\r\n\r\n")
    readuntil(stream, "\r\n\r\n")
    client = Client(stream, "rehearsal-" * (notebook === nothing ? "list" : "editor"), notebook, 0)
    ask(client, "connect")
    return client
end

function leave(client)
    write(client.stream, UInt8[0x88, 0x80, 0, 0, 0, 0])
    close(client.stream)
end

function ask(client, type, body...)
    tell(client, type, body...)
    while get(hear(client), "request_id", "") != string(client.asked)
    end
end

# Pluto's messages: frontend/common/PlutoConnection.js has their form.
function tell(client, type, body...)
    client.asked += 1
    message = Dict{String,Any}(
        "type" => type,
        "client_id" => client.name,
        "request_id" => string(client.asked),
        "body" => Dict{String,Any}(body...),
    )
    client.notebook === nothing || (message["notebook_id"] = client.notebook)
    bytes = Pluto.pack(message)
    size = length(bytes)
    head = size < 126 ? UInt8[0x82, 0x80|size] : UInt8[0x82, 0xfe, size>>8, size&0xff]
    write(client.stream, vcat(head, zeros(UInt8, 4), bytes))
end

function hear(client)
    bytes = UInt8[]
    while true
        first, size = read(client.stream, UInt8), Int(read(client.stream, UInt8) & 0x7f)
        size == 126 && (size = Int(ntoh(read(client.stream, UInt16))))
        size == 127 && (size = Int(ntoh(read(client.stream, UInt64))))
        payload = read(client.stream, size)
        first & 0x0f >= 8 && continue # of the protocol itself
        append!(bytes, payload)
        first & 0x80 == 0 || return Pluto.unpack(bytes)
    end
end

end
