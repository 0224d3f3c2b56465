"""Markdown that attacks whoever reads it: what runs a script, and what calls an address.

Collected from cheat sheets and advisories: PortSwigger's and OWASP's for HTML and Markdown,
SonarSource's for mutations (CVE-2020-6802, CVE-2020-6816, CVE-2021-23980 of bleach, and those of
DOMPurify), and the issues of nbviewer and nbconvert.
"""

import base64

#: What a script does.
DO = "alert(1)"
#: The listener. Nothing is sent there: the tests catch every request.
EVIL = "https://evil.example/"
_IMG = f"<img src=x onerror={DO}>"
_DATA = base64.b64encode(f"<script>{DO}</script>".encode()).decode()
_SVG = base64.b64encode(
    f'<svg xmlns="http://www.w3.org/2000/svg" onload="{DO}"/>'.encode()
).decode()

#: What works where nothing is sanitized: in Formgrader's page, in Chromium.
WORKS = {
    "script": f"<script>{DO}</script>",
    "script in capitals": f"<ScRiPt >{DO}</sCrIpT>",
    "image": _IMG,
    "image in a paragraph": f"text {_IMG} text",
    "image in a list": f"- a\n  - b {_IMG}",
    "image in a table": f"| a | b |\n|---|---|\n| {_IMG} | c |",
    "image in a heading": f"# a {_IMG}",
    "image in a quotation": f"> a\n> {_IMG}",
    "image in a link": f"[{_IMG}](https://a.example)",
    "image in emphasis": f"**~~{_IMG}~~**",
    "image after a comment": f"<!--><!-->{_IMG}-->",
    "mermaid": f"```mermaid\n{_IMG}\n```",
    "svg": f"<svg onload={DO}></svg>",
    "svg script": f"<svg><script>{DO}</script></svg>",
    "svg animation": f"<svg><animate onbegin={DO} attributeName=x dur=1s></svg>",
    "frame of text": f"<iframe srcdoc='<script>{DO}</script>'></iframe>",
    "frame of a script": f"<iframe src='javascript:{DO}'></iframe>",
    "object": f"<object data=x onerror={DO}></object>",
    "focus": f"<input autofocus onfocus={DO}>",
    "details": f"<details open ontoggle={DO}>a</details>",
    "video": f"<video><source onerror={DO}></video>",
    "audio": f"<audio src=x onerror={DO}></audio>",
    "style": (
        f"<style>@keyframes x{{}}</style><p style='animation:x 1s' onanimationstart={DO}>a</p>"
    ),
    "own element": f"<xss tabindex=1 autofocus onfocus={DO}>a</xss>",
    "link": f"[a](javascript:{DO})",
    "link in capitals": f"[a](JaVaScRiPt:{DO})",
    "link with entities": f"[a](java&#x73;cript:{DO})",
    "link with a named colon": f"[a](javascript&colon;{DO})",
    "link by reference": f"[a][b]\n\n[b]: javascript:{DO}",
    "link in angles": f"<javascript:{DO}>",
    "link in HTML": f"<a href='javascript:{DO}'>a</a>",
    "link with a tab": f"<a href='java\tscript:{DO}'>a</a>",
    "link with a control character": f"<a href='\x01javascript:{DO}'>a</a>",
    "link in a map": f"<svg><a href='javascript:{DO}'><text x=20 y=20>a</text></a></svg>",
    "button in a form": f"<form><button formaction='javascript:{DO}'>a</button></form>",
    "form": f"<form action='javascript:{DO}'><button>a</button></form>",
    "mutation by svg and style": f'<svg></p><style><a id="</style>{_IMG}">',
    "mutation by a table": (
        f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;{_IMG[1:]}'>{_IMG}"
    ),
    "remote image": f"![a]({EVIL}a.png)",
    "remote image in HTML": f"<img src='{EVIL}a.png'>",
    "remote image without a scheme": "![a](//evil.example/a.png)",
    "remote image set": f"<img srcset='{EVIL}a.png 1x'>",
    "remote style": f"<link rel=stylesheet href={EVIL}a.css>",
    "import of a style": f"<style>@import '{EVIL}a.css';</style>",
    "style that loads": f"<p style='background:url({EVIL}a.png)'>a</p>",
    "refresh": f"<meta http-equiv=refresh content='0;url={EVIL}'>",
    "base": f"<base href={EVIL}><img src=a.png>",
    "remote frame": f"<iframe src={EVIL}></iframe>",
    "remote object": f"<embed type=text/html src={EVIL}a.html>",
    "remote video": f"<video poster={EVIL}a.png></video>",
}
#: What does nothing there, but could elsewhere, or once it has been filtered half.
COULD = {
    "image, not closed": f"<img src=x onerror={DO}//\n",
    "svg with a slash": f"<svg/onload={DO}>",
    "mutation by noscript": f'<noscript><p title="</noscript>{_IMG}">',
    "mutation by xmp": f'<xmp><p title="</xmp>{_IMG}">',
    "mutation by textarea": f'<textarea><p title="</textarea>{_IMG}">',
    "mutation by title": f'<title><p title="</title>{_IMG}">',
    "mutation by math": (
        f'<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style>{_IMG}">'
    ),
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "text": f"\\<img src=x onerror={DO}>",
    "formula": f"$<img src=x onerror={DO}>$",
    "formula on lines of its own": f"$$\n</div>{_IMG}\n$$",
    "environment": f"\\begin{{align}}{_IMG}\\end{{align}}",
    "link in a formula": f"$\\href{{javascript:{DO}}}{{x}}$ $\\class{{score}}{{x}}$",
    "commands in a formula": "$\\require{html}\\unicode{x41}\\cssId{written}{x}\\style{a:b}{y}$",
    "code": f"`{_IMG}` and\n\n```html\n{_IMG}\n```\n",
    "info of a fence": f'```"><img src=x onerror={DO}>\nx\n```',
    "title of an image": f'![a](x "b\' onerror={DO} ")',
    "text of an image": f'![a" onerror="{DO}](x)',
    "title of a link": f'[a](https://a.example "b\' onmouseover={DO} ")',
    "address of data": f"[a](data:text/html;base64,{_DATA})",
    "image of data": f"![a](data:text/html;base64,{_DATA}) ![a](data:image/svg+xml;base64,{_SVG})",
    "script as an image": f"![a](javascript:{DO})",
    "missing attachment": "![a](attachment:missing.png)",
    "reassembled": f"<scr<script>ipt>{DO}</scr</script>ipt>",
    "zero byte": f"<scr\x00ipt>{DO}</scr\x00ipt>",
    "half a character": "\ud83d <b>a</b>",
    "comment in a command": "$\\hr<!-- -->ef{javascript:alert(1)}{x}$",
    "form of the marker": "<input class='score' id='written' value='3'><b class='no-credit'>a</b>",
    "rest of the page": "</div></div></div><div class='navbar-fixed-top'>a</div>",
    "widget": '<script type="application/vnd.jupyter.widget-view+json">{"model_id": "a"}</script>',
    "comment that swallows": "<!-- a",
    "element that swallows": "<plaintext>",
    "style that swallows": "<style>a",
    "deep": "<div>" * 3000,
    "deeper": ">" * 8000 + " a",
    "long": "[" * 15_000,
}
ALL = WORKS | COULD
