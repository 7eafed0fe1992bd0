// Fails if a link within the built site leads nowhere, or an anchor is not there.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'

const dist = join(import.meta.dirname, '..', 'dist-site')
const files = (dir) => readdirSync(join(dist, dir), { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(posix.join(dir, e.name)) : [posix.join(dir, e.name)]))
const pages = new Map(files('').filter((f) => f.endsWith('.html')).map((f) => [f, readFileSync(join(dist, f), 'utf8')]))
const faults = []
let links = 0
for (const [page, text] of pages) {
  for (const [, href] of text.matchAll(/<a[^>]*\shref="([^"]*)"/g)) {
    if (/^[a-z]+:/.test(href)) continue
    links++
    const [path, anchor] = href.replaceAll('&amp;', '&').split('#')
    let to = path === '' ? page : decodeURI(path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(page), path))
    if (to === '' || to.endsWith('/')) to += 'index.html'
    if (!existsSync(join(dist, to)) && existsSync(join(dist, to + '.html'))) to += '.html'
    if (!existsSync(join(dist, to)) || statSync(join(dist, to)).isDirectory()) faults.push(`${page}: a link to ${href}, which is not there`)
    else if (anchor && !pages.get(to)?.includes(`id="${decodeURIComponent(anchor)}"`)) faults.push(`${page}: a link to ${href}, and ${to} has no such heading`)
  }
}
// Whatever is a document of its own is found beside every other one.
const beside = pages.get('docs/TUTORIAL.html').match(/<aside class="VPSidebar".*?<\/aside>/s)[0]
for (const page of pages.keys()) {
  if (/^(docs\/)?[A-Z-]+\.html$/.test(page) && !beside.includes(`href="/${page}"`)) faults.push(`${page}: the sidebar does not have it`)
}
for (const fault of new Set(faults)) console.error(fault)
console.log(`${pages.size} pages, ${links} links, ${new Set(faults).size} faults`)
process.exit(faults.length > 0 || pages.size < 20 ? 1 : 0)
