//! How the page looks: light or dark as the system is, one column on a phone.

/// The style sheet. Colours have a contrast of 4.5 : 1 and more as text (WCAG 2.2, 1.4.3), marks of 3 : 1 and more (1.4.11).
pub const STYLE: &str = "
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#566273;--line:#dde2e9;--grid:#e7ebf0;--accent:#2563a8;--accent2:#7fb0e0;--fill:#d9e7f6;--ok:#1a7a45;--okbg:#e3f4ea;--warn:#8a5300;--warnbg:#fdf0d8;--bad:#b3261e;--badbg:#fde7e5}
@media(prefers-color-scheme:dark){:root{--bg:#12171e;--card:#1a212b;--ink:#e7ecf3;--soft:#a3b0c2;--line:#2d3846;--grid:#263140;--accent:#6cabf0;--accent2:#3f78b8;--fill:#22364d;--ok:#5fd394;--okbg:#17352a;--warn:#f0b455;--warnbg:#3a2d15;--bad:#ff938a;--badbg:#421f1d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:32px;padding-bottom:8px}
h1{font-size:26px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:17px;margin:0 0 14px}
h3,details h4{font-size:14px;margin:0 0 8px;font-weight:600}details h4{margin:12px 0 4px}
p{margin:0 0 8px}
.soft{color:var(--soft)}
.small{font-size:13px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px;margin:16px 0}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:24px}
.hosts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:14px;list-style:none;padding:0;margin:0}
.host{border:1px solid var(--line);border-radius:10px;padding:14px 16px;border-left:5px solid var(--soft)}
.host.ok{border-left-color:var(--ok)}.host.warning{border-left-color:var(--warn)}.host.critical{border-left-color:var(--bad)}
.host h3{display:flex;justify-content:space-between;gap:8px;align-items:center;font-size:16px}
dl{display:grid;grid-template-columns:auto 1fr;gap:3px 12px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
.badge{display:inline-block;border-radius:999px;padding:1px 10px;font-size:12.5px;font-weight:600;white-space:nowrap}
.badge.ok{color:var(--ok);background:var(--okbg)}.badge.warning{color:var(--warn);background:var(--warnbg)}.badge.critical{color:var(--bad);background:var(--badbg)}
.why{margin:8px 0 0;padding-left:18px;font-size:13px}
.figures{display:flex;flex-wrap:wrap;gap:10px 34px;margin-bottom:16px}
.figure b{display:block;font-size:24px;line-height:1.25;font-variant-numeric:tabular-nums}
.figure span{color:var(--soft);font-size:13px}
svg{display:block;width:100%;height:auto;overflow:visible}
text{fill:var(--soft);font:10.5px system-ui,sans-serif}
.g{stroke:var(--grid)}.bar{stroke:var(--accent)}.bar.past{stroke:var(--accent2)}.area{fill:var(--fill)}.stroke{fill:none;stroke:var(--accent);stroke-width:2}.dot{stroke:var(--accent);stroke-width:4.4;stroke-linecap:round}.limit{stroke:var(--bad);stroke-dasharray:4 3;stroke-width:1.5}.limit.warn{stroke:var(--warn)}
.kept,.going,.none{fill:none;stroke-width:.75;stroke-dasharray:.75 .25}.kept{stroke:var(--accent)}.going{stroke:var(--accent2);stroke-width:.4}.none{stroke:var(--grid)}.shared{position:absolute;width:0;height:0}
figure{margin:0;min-width:0}figcaption{margin-bottom:8px}
details{margin-top:10px;font-size:13px}summary{cursor:pointer;color:var(--accent)}
.scroll{overflow-x:auto;max-height:340px;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
.n1 :is(td,th):nth-child(n+2),.n2 :is(td,th):nth-child(n+3),.n3 :is(td,th):nth-child(n+4),.n4 :is(td,th):nth-child(n+5){text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.cal{overflow-x:auto;margin-top:18px}.cal svg{min-width:640px}
.key{display:inline-flex;align-items:center;gap:6px;margin-right:16px;font-size:13px;color:var(--soft)}
.key svg{width:12px;height:12px}
footer{padding-bottom:40px;font-size:13px;color:var(--soft)}
a{color:var(--accent)}
@media(max-width:480px){header,main,footer{padding-left:12px;padding-right:12px}section{padding:16px 14px}h1{font-size:22px}}
";
