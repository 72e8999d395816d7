# Open, run and close one notebook: Pluto resolves and compiles an environment of its own the first time, in the first
# depot of whoever does it. Run as the user, so that it lies where the user's first notebook looks.

import Pluto

session = Pluto.ServerSession()
session.options.server.launch_browser = false

path = joinpath(mktempdir(), "first.jl")
write(path, """
### A Pluto.jl notebook ###
# v0.19.0

using Markdown
using InteractiveUtils

# ╔═╡ 0a5f8f52-7d3a-11ee-2b1a-6d0c1a2b3c4d
1 + 1

# ╔═╡ Cell order:
# ╠═0a5f8f52-7d3a-11ee-2b1a-6d0c1a2b3c4d
""")

notebook = Pluto.SessionActions.open(session, path; run_async = false)
cell = only(notebook.cells)
cell.errored && error("Pluto's first cell failed: $(cell.output.body)")
Pluto.SessionActions.shutdown(session, notebook)
