# Waits to become a Julia kernel:  julia FLAGS -e 'include(popfirst!(ARGS))' waiting.jl REPORT PACKAGE STATEMENTS
#
# Loads PACKAGE (may be empty), replays the precompile statements in the file STATEMENTS (may be absent), writes `w`
# to file number REPORT and blocks in one read of standard input, where the message of spare.py comes. Then it goes
# on as if it had been started with the message's command. No event loop runs before: pooled kernels that had theirs
# running spun at 100 % CPU (cocalc#7041). Julia 1.5 on.

module HubagentWaiting

const MAGIC = "hubagent 1"
const END = "end\n"

# Statements name types of packages that Main does not know; in this module all loaded packages are bound.
function replay(path)
    isfile(path) || return 0, 0
    scope = Module(:HubagentStatements)
    Core.eval(scope, :(eval(x) = Core.eval($scope, x)))
    bind(scope)
    good = bad = 0
    for line in eachline(path)
        occursin("precompile(", line) || continue # later versions put the time before it, as a comment
        applied = try
            Core.eval(scope, Meta.parse(line)) === true
        catch
            false
        end
        applied ? (good += 1) : (bad += 1)
    end
    return good, bad
end

function bind(scope)
    for (id, loaded) in Base.loaded_modules
        name = Symbol(id.name)
        isdefined(scope, name) || Core.eval(scope, :(const $name = $loaded))
    end
end

function understand(message)
    parts = split(message, '\0')
    parts[1] == MAGIC && parts[end] == END || exit(0) # the server ended, and its pipe with it
    count = parse(Int, parts[4])
    command = String.(parts[5:4+count])
    environment = [Pair(String.(split(pair, '='; limit = 2))...) for pair in parts[5+count:end-1]]
    return parse(Int, parts[2]; base = 8), String(parts[3]), command, environment
end

# What Julia reads from its environment at a start.
function adopt(mask, directory, environment)
    ccall(:umask, Cuint, (Cuint,), mask)
    for name in collect(keys(ENV)) # Julia itself sets some of OpenBLAS's at a start, where they are absent
        startswith(name, "OPENBLAS_") || delete!(ENV, name)
    end
    for (name, value) in environment
        ENV[name] = value
    end
    cd(directory)
    empty!(DEPOT_PATH)
    Base.init_depot_path()
    Base.init_load_path()
    isdefined(Base, :init_active_project) && Base.init_active_project() # apart from the load path since 1.6
    try
        memory()
    catch error
        println(stderr, "hubagent: the memory limit of the start stays: ", error)
    end
end

# A slot's limit is raised when it is claimed; a Julia that starts then would read the new one (gc.c, jl_gc_init).
function memory()
    VERSION >= v"1.10" && Base.JLOptions().heap_size_hint == 0 || return
    setter = Libc.Libdl.dlsym(Libc.Libdl.dlopen("libjulia-internal"; throw_error = false), :jl_gc_set_max_memory; throw_error = false)
    setter === nothing && return
    constrained = ccall(:uv_get_constrained_memory, UInt64, ())
    total = UInt64(Sys.total_physical_memory())
    total = constrained == 0 ? total : min(total, constrained)
    share = total < 128 * UInt64(2)^30 ? total * 2.34375e-12 + 0.6 : 0.9
    ccall(setter, Cvoid, (UInt64,), round(UInt64, total * share))
end

# Whether the user's project has another version of the package than the one that is loaded.
function other(package)
    isempty(package) && return false
    id = Base.identify_package(package)
    id === nothing && return false
    found = Base.locate_package(id)
    loaded = get(Base.loaded_modules, id, nothing)
    return loaded === nothing || (found !== nothing && realpath(found) != realpath(Base.pathof(loaded)))
end

# The kernel as it would start without us, in this process. Julia blocks signals, and an exec would keep that.
function start_anew(command)
    ccall(:sigprocmask, Cint, (Cint, Ptr{UInt8}, Ptr{Cvoid}), 2, zeros(UInt8, 128), C_NULL)
    ccall(:execvp, Cint, (Cstring, Ptr{Cstring}), command[1], [pointer.(command); C_NULL])
    exit(127)
end

# Whether the command has an expression, the expression or the script, and the arguments.
function program(command)
    at = findfirst(word -> word == "-e" || endswith(word, ".jl"), command)
    code = command[at] == "-e"
    return code, command[at+(code ? 1 : 0)], command[at+(code ? 2 : 1):end]
end

function startup()
    Base.JLOptions().startupfile == 2 && return
    file = isempty(DEPOT_PATH) ? "" : abspath(DEPOT_PATH[1], "config", "startup.jl")
    isfile(file) && Base.include(Main, file)
end

function wait_and_become()
    report, package, statements = parse(Int, ARGS[1]), ARGS[2], ARGS[3]
    empty!(ARGS)
    isempty(package) || Core.eval(Main, Expr(:toplevel, :(import $(Symbol(package)))))
    good, bad = replay(statements)
    bad == 0 || println(stderr, "hubagent: ", bad, " of ", good + bad, " precompile statements did not apply")
    # Compile what the hand-over runs, the message's part of it by an example.
    program(understand(join((MAGIC, "0022", "/", "3", "julia", "-e", "1", "NAME=value", END), '\0'))[3])
    precompile(adopt, (Int, String, Vector{Pair{String,String}}))
    precompile(other, (String,))
    precompile(startup, ())
    GC.gc()
    ccall(:write, Cssize_t, (Cint, Ptr{UInt8}, Csize_t), report, UInt8['w'], 1)
    ccall(:close, Cint, (Cint,), report)
    mask, directory, command, environment = understand(String(read(stdin)))
    adopt(mask, directory, environment)
    other(package) && start_anew(command)
    code, text, arguments = program(command)
    append!(ARGS, arguments)
    startup()
    if code
        include_string(Main, text, "none")
    else
        Core.eval(Base, :(PROGRAM_FILE = $text))
        Base.include(Main, abspath(text))
    end
end

end

HubagentWaiting.wait_and_become()
