import { defineConfig } from 'vitepress'

// Anchors are GitHub's, so that the links in the documents lead somewhere in both places.
const slugify = (text) => text.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')

const pages = (...names) => names.map(([text, name]) => ({ text, link: name.startsWith('/') ? name : `/docs/${name}` }))

export default defineConfig({
  title: 'nuthatch',
  description: 'A proxy for Redis and Memcached',
  lang: 'en',
  head: [['link', { rel: 'icon', href: '/icon.svg', type: 'image/svg+xml' }]],
  srcDir: 'src',
  outDir: '../dist-site',
  cacheDir: '.cache',
  markdown: { anchor: { slugify }, headers: { slugify } },
  themeConfig: {
    // Whoever searches for the text of an error finds what it means first, and the history last.
    search: {
      provider: 'local',
      options: {
        miniSearch: {
          searchOptions: {
            combineWith: 'AND',
            boostDocument: (id) => (/TROUBLESHOOTING/.test(id) ? 4 : /CHANGELOG|DESIGN|FLOWS|BENCHMARKS|CONTRIBUTING/.test(id) ? 0.3 : 1),
          },
        },
      },
    },
    outline: [2, 3],
    nav: pages(['Tutorial', 'TUTORIAL'], ['Configuration', 'CONFIGURATION'], ['Operations', 'OPERATIONS'], ['Troubleshooting', 'TROUBLESHOOTING']),
    sidebar: [
      { text: 'Begin', items: pages(['What it is', '/README'], ['Install', 'INSTALL'], ['Tutorial', 'TUTORIAL']) },
      {
        text: 'How to',
        items: pages(
          ['Come from nutcracker', 'MIGRATING'], ['Come from Envoy, HAProxy, others', 'COMING-FROM'], ['Leave stunnel', 'FROM-STUNNEL'],
          ['Operate', 'OPERATIONS'], ['Plan capacity', 'CAPACITY'], ['Tune', 'TUNING'], ['Find an error text', 'TROUBLESHOOTING'],
          ['Run frameworks', 'STACKS'], ['Follow Sentinel', 'SENTINEL'], ['Read from replicas', 'REPLICAS'], ['Use a Redis Cluster', 'CLUSTER'],
          ['Look like a Redis Cluster', 'EMULATE'], ['Use TLS', 'TLS'], ['Have users', 'USERS'],
        ),
      },
      {
        text: 'Reference',
        items: pages(
          ['Configuration', 'CONFIGURATION'], ['Redis commands', 'COMMANDS'], ['Memcached', 'MEMCACHED'], ['Statistics and events', 'METRICS'],
          ['The admin listener', 'API'], ['Changes', '/CHANGELOG'],
        ),
      },
      {
        text: 'Explanations',
        items: pages(
          ['Design', 'DESIGN'], ['Three flows', 'FLOWS'], ['Security', '/SECURITY'], ['Benchmarks', 'BENCHMARKS'], ['Contributing', '/CONTRIBUTING'],
        ),
      },
    ],
  },
})
