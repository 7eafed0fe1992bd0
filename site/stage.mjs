// Copies the documents into src, as VitePress reads them: the Markdown files where the repository
// has them, and every other file that they link to as a file of the site. A folder becomes a page
// that lists it.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'

const root = join(import.meta.dirname, '..')
const src = join(import.meta.dirname, 'src')

const write = (name, text) => {
  mkdirSync(dirname(join(src, name)), { recursive: true })
  writeFileSync(join(src, name), text)
}

const folders = new Set()

// publish makes a file or a folder of the repository part of the site, and returns its address.
function publish(name) {
  if (!statSync(join(root, name)).isDirectory()) {
    // A Go file by its own name would be a package of this module.
    const to = name.endsWith('.go') ? name + '.txt' : name
    mkdirSync(dirname(join(src, 'public', to)), { recursive: true })
    cpSync(join(root, name), join(src, 'public', to))
    return '/' + to
  }
  name = name.replace(/\/$/, '')
  if (!folders.has(name)) {
    folders.add(name)
    const entries = readdirSync(join(root, name)).filter((e) => !e.endsWith('.go'))
    const list = entries.map((e) => `- ${link(e, publish(posix.join(name, e)))}`)
    write(`${name}/index.md`, `# ${name}\n\n${list.join('\n')}\n`)
  }
  return `/${name}/`
}

const link = (text, to) => `[${text}](${to})` + (to.endsWith('/') ? '' : '{target="_self"}')

// title is the heading of a document.
const title = (name) => readFileSync(join(root, name), 'utf8').match(/^# (.*)$/m)[1]

// stage copies a document. Code is left alone. A link whose text is the name of a file says the title
// of its page: the site's readers see no files.
function stage(name) {
  let fenced = false
  const lines = readFileSync(join(root, name), 'utf8').split('\n').map((line) => {
    if (line.trimStart().startsWith('```')) fenced = !fenced
    if (fenced) return line
    return line.replace(/(`[^`]*`)|(?<!!)\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, code, text, target) => {
      if (code || /^([a-z]+:|#)/.test(target)) return whole
      const [path] = target.split('#')
      const to = posix.join(posix.dirname(name), path)
      if (!existsSync(join(root, to))) return whole
      if (/\.md$/.test(to)) return /^[\w/.-]+\.md$/.test(text) ? `[${title(to)}](${target})` : whole
      return link(text, publish(to))
    })
  })
  write(name, lines.join('\n'))
}

rmSync(src, { recursive: true, force: true })
for (const name of readdirSync(root)) if (/^[A-Z]+\.md$/.test(name)) stage(name)
for (const name of readdirSync(join(root, 'docs'))) {
  if (name.endsWith('.md')) stage('docs/' + name)
  else cpSync(join(root, 'docs', name), join(src, 'docs', basename(name)))
}
publish('LICENSE')
cpSync(join(root, 'internal', 'dashboard', 'static', 'icon.svg'), join(src, 'public', 'icon.svg'))
cpSync(join(import.meta.dirname, 'index.md'), join(src, 'index.md'))
