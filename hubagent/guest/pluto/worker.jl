# One notebook process that waits, where Pluto's WorkspaceManager.create_workspaceprocess is known to be the one that this
# goes around. HUBAGENT_PLUTO_WORKER in the environment of the server is `no`, or the digest of another one that is.

module Worker

import ..Pluto

# Of 0.20.14 to 1.0.2, at least.
const KNOWN = "1bc7d343220dc2e8b9e27404381061fe3872759bce311b47365afe392149ee8d"
const SHA = Base.PkgId(Base.UUID("ea8e919c-243c-51af-8825-aaa63cd721ce"), "SHA")
const wish = pop!(ENV, "HUBAGENT_PLUTO_WORKER", "")
const waiting = Ref{Any}(nothing) # a task that gives a worker, with its flags
const environment = Ref{Any}(nothing) # the user's, once known

# SHA-256 of what makes a notebook process, in hex: its lines without the spaces around them, and without empty ones.
function digest()
    manager = Pluto.WorkspaceManager
    found = isdefined(manager, :create_workspaceprocess) ? methods(manager.create_workspaceprocess) : ()
    length(found) == 1 || return "$(length(found)) methods"
    file, start = functionloc(first(found))
    lines = String[]
    for line in Iterators.drop(eachline(file), start - 1)
        isempty(strip(line)) || push!(lines, strip(line))
        rstrip(line) == "end" && break
    end
    return bytes2hex(Base.invokelatest(Base.require(SHA).sha256, join(lines, '\n')))
end

# Begin to keep one waiting. What did not become warm, in words for people.
function keep()
    wish == "no" && return ""
    found = try
        digest()
    catch error
        "unreadable"
    end
    found in (KNOWN, wish) ||
        return "each notebook of this version of Pluto starts its process first (HUBAGENT_PLUTO_WORKER=$found)"
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
    return ""
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

# What a worker that was started before its user came has to take over, and what it has of this process's start alone.
function adoption(pairs)
    left = filter(name -> !startswith(name, "OPENBLAS_"), setdiff(keys(before), first.(pairs))) # Julia sets those
    quote
        foreach(name -> delete!(ENV, name), $(collect(left)))
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
