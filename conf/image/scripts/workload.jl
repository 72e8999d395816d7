# What users do first: this is run where code is compiled ahead. It needs no package.

println(1 + 1)
println(sum(rand(200, 200)^2) > 0)
println([string(k, "=", v) for (k, v) in Dict("a" => 1, "b" => 2.5)])
show(stdout, MIME"text/plain"(), rand(3, 3))
show(stdout, MIME"text/plain"(), (1, "two", :three, [4.0]))
try
    error("an error as users see it")
catch fault
    showerror(stdout, fault, catch_backtrace())
end
