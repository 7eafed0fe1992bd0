package admin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
)

// config shows the configuration in force.
func (h *handler) config(w http.ResponseWriter, _ *http.Request) {
	conf, _ := h.Instance.InForce()
	shown := api.Configuration{
		File:    h.Instance.Facts().ConfigFile,
		Process: settingsOf(conf, "", config.ProcessSettings(&conf.Process)),
		Text:    textOf(conf),
	}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		shown.Pools = append(shown.Pools, api.PoolConfiguration{
			Name: p.Name, Settings: settingsOf(conf, p.Name, config.PoolSettings(p)), Servers: linesOf(p),
		})
	}
	answer(w, shown)
}

// settingsOf are settings of a pool, or of the process without one.
func settingsOf(conf *config.Config, pool string, list []config.Setting) []api.Setting {
	shown := make([]api.Setting, len(list))
	for i, s := range list {
		shown[i] = api.Setting{Key: s.Key, Value: s.Value, Default: s.Default, From: conf.SourceOf(pool, s.Key).String()}
	}
	return shown
}

// linesOf are the pool's servers as lines of the file.
func linesOf(p *config.Pool) []string {
	lines := make([]string, len(p.Servers))
	for i, s := range p.Servers {
		lines[i] = s.Text
		if s.Name != "" {
			lines[i] += " " + s.Name
		}
	}
	return lines
}

// textOf writes the configuration as a file, with every setting that has a value. A
// comment says where each was written.
func textOf(conf *config.Config) string {
	var b strings.Builder
	b.WriteString("nuthatch:\n")
	writeSettings(&b, config.ProcessSettings(&conf.Process), from(conf, ""))
	for i := range conf.Pools {
		p := &conf.Pools[i]
		fmt.Fprintf(&b, "%s:\n", quoted(p.Name))
		writeSettings(&b, config.PoolSettings(p), from(conf, p.Name))
		fmt.Fprintf(&b, "  servers:%s\n", from(conf, p.Name)("servers"))
		for _, line := range linesOf(p) {
			fmt.Fprintf(&b, "    - %s\n", quoted(line))
		}
	}
	return b.String()
}

// from makes comments of where the settings of a pool were written, or, without a pool, those
// of the process.
func from(conf *config.Config, pool string) func(key string) string {
	return func(key string) string {
		at := conf.SourceOf(pool, key).String()
		if at == "" {
			at = "default"
		}
		return "  # " + strings.Map(func(c rune) rune {
			if c < ' ' {
				return '?' // a path may have a line break
			}
			return c
		}, at)
	}
}

// writeSettings writes settings in the blocks that they are in, with a comment behind each.
// Those of one block stand together.
func writeSettings(b *strings.Builder, list []config.Setting, comment func(key string) string) {
	var open []string // the path to the block that is being written
	for _, s := range list {
		if s.Value == "" {
			continue
		}
		block, last := s.Path[:len(s.Path)-1], len(s.Path)-1
		shared := 0
		for shared < min(len(open), len(block)) && open[shared] == block[shared] {
			shared++
		}
		for i := shared; i < len(block); i++ {
			if !isPlace(block[i]) {
				indent(b, block[:i], shared)
				fmt.Fprintf(b, "%s:\n", quoted(block[i]))
			}
		}
		text := s.Value
		if s.Text {
			text = quoted(text)
		}
		indent(b, block, shared)
		fmt.Fprintf(b, "%s: %s%s\n", s.Path[last], text, comment(s.Key))
		open = block
	}
}

// indent begins a line in the block at path. The first line of a block in a list begins
// with a dash; shared is how many steps of the path it has in common with the line
// before.
func indent(b *strings.Builder, path []string, shared int) {
	b.WriteString("  ")
	for i := range path {
		if i == len(path)-1 && i >= shared && isPlace(path[i]) {
			b.WriteString("- ")
			continue
		}
		b.WriteString("  ")
	}
}

// isPlace reports whether a step of a path is a block's place in a list.
func isPlace(step string) bool { return strings.HasPrefix(step, "[") }

// quoted puts a text in quotes if YAML could read it as anything else.
func quoted(text string) string {
	plain := strings.IndexFunc(text, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:- ", c)
	}) < 0
	if plain && !strings.Contains(text, ": ") && text != "" && !strings.HasPrefix(text, "-") {
		return text
	}
	return strconv.Quote(text)
}
