"""How a page of ours looks: light and dark, on a phone and on a wide screen, with nothing from elsewhere."""

# Blue is right or better, vermilion is wrong: Okabe and Ito's, as in the pictures of an evaluation.
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --grey: #626262; --line: #ddd; --soft: #f5f5f3;
        --right: #0072b2; --wrong: #d55e00; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181a; --ink: #e8e6e3; --grey: #a3a19d; --line: #383b3e; --soft: #1f2224;
          --right: #56b4e9; --wrong: #f08a3c; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1rem clamp(.75rem, 3vw, 2.5rem) 3rem;
       background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: clamp(1.25rem, 4vw, 1.75rem); line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem }
p { max-width: 46rem; margin: .5rem 0 }
code { font: .92em ui-monospace, monospace }
small, .grey { color: var(--grey); font-size: .875rem }
.verdict { font-size: 1.1rem; padding: .75rem 1rem; background: var(--soft);
           border-left: 4px solid var(--right) }
.wide { overflow-x: auto }
.wide:focus-visible, summary:focus-visible { outline: 2px solid var(--right); outline-offset: 2px }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0;
         border-bottom: 1px solid var(--line) }
tbody th { font-weight: 400 }
td small { display: block; white-space: nowrap }
td code { overflow-wrap: anywhere; display: block; min-width: 6rem; max-width: 26rem }
.better { font-weight: 700; white-space: nowrap }
.better::before { content: "\\2713  "; color: var(--right) }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem }
.matrix { border-collapse: separate; border-spacing: 2px; table-layout: fixed;
          font-size: clamp(.7rem, 2.4vw, .875rem) }
.matrix th, .matrix td { text-align: center; border: 0; padding: .25rem; min-width: 1.9em; height: 2.2em;
                         vertical-align: middle }
.matrix th { color: var(--grey); font-weight: 400 }
.matrix td { background: var(--soft) }
.matrix thead td { background: none }
.matrix.long thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; height: auto;
                        max-height: 14em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.matrix.long tbody th { text-align: right; max-width: 14em; overflow: hidden; text-overflow: ellipsis;
                        white-space: nowrap }
.matrix.long { table-layout: auto }
.matrix td.right { background: color-mix(in srgb, var(--right) 25%, var(--paper)) }
.matrix td.wrong { background: color-mix(in srgb, var(--wrong) calc(12% + 48% * var(--heat)), var(--paper)) }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: .75rem .5rem;
          margin: 0; padding: 0; list-style: none }
.images img { display: block; width: 5.25rem; height: 5.25rem; object-fit: contain; background: #000;
              border: 1px solid var(--line) }
.images img[src^="data:image/png"] { image-rendering: pixelated }
.images b { font-weight: 700 }
.images span { display: block; font-size: .8125rem; line-height: 1.35; white-space: nowrap; overflow: hidden;
               text-overflow: ellipsis }
.images .grey { white-space: normal; overflow-wrap: anywhere }
.images small { font-size: .75rem }
summary { cursor: pointer; font-weight: 600 }
@media (max-width: 32rem) {
  th, td { padding-right: .5rem; font-size: .9375rem }
  tbody th { font-size: .875rem }
  td small { white-space: normal; font-size: .8125rem }
  .matrix th, .matrix td { padding: .1rem; min-width: 1.9em; font-size: .6875rem } }
"""
