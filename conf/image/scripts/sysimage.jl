# Bake the packages listed in ARGS[2] into the system image ARGS[1], for the processors ARGS[3], with what the
# program ARGS[4] makes Julia compile.

const target, list, processors, workload = ARGS
const names = [Symbol(first(split(line, '@'))) for line in readlines(list) if !isempty(line)]

# The tool stays out of the users' environment.
const project = Base.active_project()
import Pkg
Pkg.activate(mktempdir())
Pkg.add("PackageCompiler")
using PackageCompiler

create_sysimage(
    names;
    sysimage_path = target,
    project = dirname(project),
    precompile_execution_file = workload,
    cpu_target = processors,
)
