"""Which files a first page needs, out of what JupyterLab's builders leave."""

from __future__ import annotations

import pytest

from hubagent.images.first_page import FirstPage

PAGE = """<html><head><script defer="defer" src="{{page_config.fullStaticUrl}}/main.0123456789.js?v=0123456789"></script>
<link rel="icon" href="{{ base_url | escape }}static/favicons/favicon.ico"></head></html>"""

# As webpack makes it: chunks 1 (jlab_core) and 2 at once; 2 needs the modules 72 and 73, which come from 3, 4 and 5, and 5
# needs 75, which comes from 1 and 6. What 9 is for, a click asks for.
WEBPACK = """(()=>{var t={10:(e,a,t)=>{async function o(){const n=(await Promise.all([t.e(1),t.e(2)]).then(t.bind(t,37796))).main}},
11:()=>{}};t.u=e=>""+(e===1?"jlab_core":e)+"."+{1:"aaaaaaaaaa",2:"bbbbbbbbbb",3:"cccccccccc",9:"eeeeeeeeee"}[e]+".js?v="+{
1:"aaaaaaaaaa"}[e];t.I=()=>{x("@jupyterlab/a","4.0.1",(()=>Promise.all([t.e(1),t.e(9)]).then((()=>()=>t(9)))))};
var S={72:()=>A("default","@jupyterlab/a",[2,4,0],(()=>Promise.all([t.e(3),t.e(4)]).then((()=>()=>t(22))))),
73:()=>O("default","lib",[1,6,0],(()=>t.e(5).then((()=>()=>t(23))))),74:()=>O("default","vega",[1],(()=>t.e(9).then((()=>()=>t(24))))),
75:()=>O("default","deep",[1],(()=>Promise.all([t.e(1),t.e(6)]).then((()=>()=>t(25)))))};var I={2:[72,73],5:[75],9:[74]};})()"""

# The same as rspack makes it.
RSPACK = """(()=>{var m={10(e,r,t){async function o(){let n=(await Promise.all([t.e(1),t.e(2)]).then(t.bind(t,81220))).main}}};
w.u=e=>""+(1===e?"jlab_core":e)+"."+({1:"aaaaaaaaaa",2:"bbbbbbbbbb",9:"eeeeeeeeee"})[e]+".js?v="+({1:"aaaaaaaaaa"})[e];
w.initializeSharingData={scopeToSharingDataMapping:{default:[{name:"@jupyterlab/a",version:"4.6.6",factory:()=>Promise.all([
w.e(1),w.e(9)]).then(()=>()=>w(9)),eager:0}]}};w.consumesLoadingData={chunkMapping:{2:["72","73"],5:["75"],9:["74"]},
moduleIdToConsumeDataMapping:{72:{shareScope:"default",shareKey:"@jupyterlab/a",fallback:()=>Promise.all([w.e(3),w.e(4)]).then(
()=>()=>w(22))},73:{shareScope:"default",fallback:()=>w.e(5).then(()=>()=>w(23))},74:{shareScope:"default",fallback:()=>w.e(9)
.then(()=>()=>w(24))},75:{shareScope:"default",fallback:()=>Promise.all([w.e(1),w.e(6)]).then(()=>()=>w(25))}}};})()"""

FILES = [
    "main.0123456789.js",
    "jlab_core.aaaaaaaaaa.js",
    "2.bbbbbbbbbb.js",
    "3.cccccccccc.js",
    "5.dddddddddd.js",
    "6.ffffffffff.js",
    "9.eeeeeeeeee.js",
    "deep/4.eeeeeeeeee.js",
]
NEEDED = [f"{name}?v={name.split('.')[1]}" for name in FILES[:6]]


# And as webpack leaves it for people to read, and Notebook has published it.
READABLE = """/******/ (() => { // webpackBootstrap
/***/ ((__unused_webpack_module, __unused_webpack_exports, __webpack_require__) => {

Promise.all(/* import() */[__webpack_require__.e(1), __webpack_require__.e(2)]).then(__webpack_require__.bind(__webpack_require__, 60880));

/******/ 		__webpack_require__.u = (chunkId) => {
/******/ 			// return url for filenames based on template
/******/ 			return "" + (chunkId === 1 ? "jlab_core" : chunkId) + "." + {"1":"aaaaaaaaaa","2":"bbbbbbbbbb"}[chunkId] + ".js?v=" + {"1":"aaaaaaaaaa"}[chunkId] + "";
/******/ 		var moduleToHandlerMapping = {
/******/ 			72: () => (loadSingletonVersionCheckFallback("default", "@jupyterlab/a", [2,4,0], () => (Promise.all([__webpack_require__.e(3), __webpack_require__.e(4)]).then(() => (() => (__webpack_require__(22))))))),
/******/ 			73: () => (loadSingletonVersionCheckFallback("default", "lib", [2,1,0], () => (__webpack_require__.e(5).then(() => (() => (__webpack_require__(23))))))),
/******/ 			75: () => (loadFallback("default", "deep", () => (Promise.all([__webpack_require__.e(1), __webpack_require__.e(6)]).then(() => (() => (__webpack_require__(25)))))))
/******/ 		};
/******/ 		var chunkMapping = {
/******/ 			"2": [
/******/ 				72,
/******/ 				73
/******/ 			],
/******/ 			"5": [
/******/ 				75
/******/ 			]
/******/ 		};
/******/ })()"""


def test_a_script_that_people_can_read_says_the_same() -> None:
    assert sorted(of(PAGE, {"main.0123456789.js": READABLE})) == sorted(NEEDED)


def test_a_page_may_lie_elsewhere() -> None:
    first = FirstPage(PAGE.encode())
    first.see("main.0123456789.js", WEBPACK.replace("\n", "").encode())
    assert sorted(first.addresses(FILES)) == sorted(NEEDED)


def of(page: str | None, scripts: dict[str, str], files: list[str] = FILES) -> list[str]:
    first = FirstPage()
    for path, text in {**({} if page is None else {"index.html": page}), **scripts}.items():
        assert first.reads(path, len(text))
        first.see(path, text.encode())
    return list(first.addresses(files))


@pytest.mark.parametrize("script", [WEBPACK, RSPACK], ids=["webpack", "rspack"])
def test_the_script_and_all_that_it_asks_for_at_once(script: str) -> None:
    found = of(PAGE, {"main.0123456789.js": script.replace("\n", "")})
    assert found[0] == NEEDED[0]
    assert sorted(found) == sorted(NEEDED)


@pytest.mark.parametrize("script", [WEBPACK, RSPACK], ids=["webpack", "rspack"])
def test_addresses_have_a_query_where_the_script_gives_them_one(script: str) -> None:
    found = of(PAGE, {"main.0123456789.js": script.replace("\n", "").replace("?v=", "")})
    assert sorted(found) == sorted([NEEDED[0], *(name.partition("?")[0] for name in NEEDED[1:])])


@pytest.mark.parametrize(
    "exposed",
    [
        'var n={"./index":()=>t.e(568).then((()=>()=>t(568))),"./style":()=>t.e(747).then((()=>()=>t(747)))}',
        'z.initializeExposesData={moduleMap:{"./index":()=>z.e(568).then(()=>()=>z(5)),"./style":()=>z.e(747).then(()=>()=>z(7))}}',
    ],
    ids=["webpack", "rspack"],
)
def test_an_extension_has_what_it_gives_jupyterlab(exposed: str) -> None:
    shared = '{shareScope:"default",fallback:()=>z.e(9).then(()=>()=>z(9))}'
    script = f'{exposed};a.u=e=>e+"."+{{568:"1e2faa2ba0",747:"67662283a5"}}[e]+".js?v=";b={{12:{shared}}}'
    files = ["remoteEntry.5cbb.js", "568.1e2faa2ba0.js", "747.67662283a5.js", "9.0123456789.js", "style.js"]
    assert of(None, {"remoteEntry.5cbb.js": script}, files) == [
        "remoteEntry.5cbb.js",
        "568.1e2faa2ba0.js?v=1e2faa2ba0",
        "747.67662283a5.js?v=67662283a5",
    ]


def test_what_is_not_recognised_is_left_out() -> None:
    assert of(PAGE, {"main.0123456789.js": "console.log(1)"}) == NEEDED[:1]
    assert of("<html></html>", {"main.0123456789.js": WEBPACK}) == []
    assert of(None, {"main.0123456789.js": WEBPACK}) == []
    assert of(None, {}) == []
    assert of(PAGE, {"main.0123456789.js": WEBPACK}, files=["2.bbbbbbbbbb.js"]) == []
    assert (
        of(None, {"remoteEntry.1.js": "", "remoteEntry.2.js": ""}, ["remoteEntry.1.js", "remoteEntry.2.js"])
        == []
    )


def test_it_reads_no_more_than_it_needs() -> None:
    first = FirstPage()
    assert first.reads("index.html", 4000)
    assert not first.reads("index.html", 2 * 1024**2)
    assert first.reads("remoteEntry.0123.js", 4000)
    assert not first.reads("main.0123.js", 3 * 1024**2)
    assert not first.reads("2.bbbbbbbbbb.js", 4000)
    assert not first.reads("deep/main.0123.js", 4000)
    for number in range(4):
        assert first.reads("main.0123.js", 4000)
        first.see(f"main.{number}.js", b"")
    assert not first.reads("main.0123.js", 4000)


def test_what_many_chunks_need_is_looked_for_once() -> None:
    """Else a small script could name more than there is memory for."""
    script = WEBPACK.replace("\n", "").replace("2:[72,73]", f"2:[{','.join(['72', '73'] * 50_000)}]")
    assert sorted(of(PAGE, {"main.0123456789.js": script})) == sorted(NEEDED)


def test_no_more_than_so_many_imports_are_looked_at() -> None:
    """An image may be anybody's, and each has a look back at what is before it."""
    script = ".then(t.bind(" * 500 + WEBPACK
    assert of(PAGE, {"main.0123456789.js": script}) == NEEDED[:1]
    assert sorted(
        of(PAGE, {"main.0123456789.js": script[len(".then(t.bind(") :].replace("\n", "")})
    ) == sorted(NEEDED)
