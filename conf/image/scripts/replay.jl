# Apply recorded precompile statements: the file ARGS[1], one statement a line; the packages ARGS[2:end] are loaded first.
# Prints each statement that does not apply, after "unknown: " with the reason when a name in it is not known here, or
# after "no code: " when Julia compiles nothing for it ahead of a call, as for abstract types. The last line counts, as
# "applied 517 of 520 in 12.3", which are seconds.
#
# A statement names types by the module that owns them, which may be no dependency of the active project: all loaded
# modules are bound by name in a module of their own, and the statements are evaluated there. In Main a fifth of a
# kernel's statements would fail without a word.

for name in ARGS[2:end]
    Base.require(Main, Symbol(name))
end

const Bound = Module(:Bound)
for (id, loaded) in Base.loaded_modules
    name = Symbol(id.name)
    name in (:Main, :Core, :Base) || Core.eval(Bound, :(const $name = $loaded))
end

function apply(statements)
    applied = 0
    for line in statements
        try
            if Core.eval(Bound, Meta.parse(line)) === false
                println("no code: ", line)
            else
                applied += 1
            end
        catch fault
            println("unknown: ", line, ": ", first(split(sprint(showerror, fault), '\n')))
        end
    end
    applied
end

const statements = filter(line -> startswith(line, "precompile("), readlines(ARGS[1]))
const begun = time()
const applied = apply(statements)
println("applied ", applied, " of ", length(statements), " in ", round(time() - begun; digits = 2))
