# Install the packages listed in the file ARGS[1], one `Name` or `Name@version` a line, and compile them.

using Pkg

function wanted(line)
    name, version = (split(line, '@')..., "")
    isempty(version) ? PackageSpec(name = String(name)) : PackageSpec(name = String(name), version = String(version))
end

Pkg.add([wanted(line) for line in readlines(ARGS[1]) if !isempty(line)])
Pkg.precompile()

# Loading tells what precompilation alone does not: libraries that are missing in this image.
for dependency in keys(Pkg.project().dependencies)
    @info "loading $dependency"
    Base.require(Main, Symbol(dependency))
end
