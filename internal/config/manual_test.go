package config

import (
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// manualPath is the page nuthatch.yml(5).
const manualPath = "../../packaging/man/nuthatch.yml.5"

// TestManual compares nuthatch.yml(5) with the tables of keys that it is made of.
func TestManual(t *testing.T) {
	const command = "go test ./internal/config -update"
	testkit.CheckFile(t, manualPath, command, manual(t, command), *update)
}

// manual is the page: how a file is written, from docs/CONFIGURATION.md, and every key.
func manual(t *testing.T, command string) string {
	t.Helper()
	m := testkit.NewManPage("nuthatch.yml", 5, "configuration of nuthatch", command)
	m.Section("Description")
	m.Paragraph("**nuthatch** reads a YAML file. Each name at the top level is a pool: an address where clients connect, " +
		"and the servers that share its keys. The name `" + processBlock + "` is for settings of the whole process. " +
		"A file that runs nutcracker (twemproxy) runs nuthatch unchanged.")
	m.Paragraph("Only `listen` and `servers` are required. In production set `timeout` too: without it, clients wait for ever " +
		"for a server that hangs. `nuthatch -t -c FILE` checks a file, and names every fault with its line.")
	m.Section("Example")
	example := regexp.MustCompile("(?s)```yaml\n# nuthatch.yml\n(.*?)```").FindSubmatch(readTestFile(t, docPath))
	if example == nil {
		t.Fatalf("%s has no example of a whole file", docPath)
	}
	m.Code(string(example[1]))
	m.Section("Values")
	m.Item("number", "Decimal digits: `512`.")
	m.Item("duration", "A number with a unit, `200ms`, `5s`, `1m30s`; or `0`.")
	m.Item("duration or milliseconds", "A duration; or decimal digits without a unit, as in nutcracker: `400`.")
	m.Item("size", "Bytes, or a number with `kb`, `mb` or `gb` (powers of 1024): `64mb`.")
	m.Item("true or false", "Exactly `true` or `false`.")
	m.Section("Keys of a pool")
	manualKeys(m, rowsOf("", describe(poolKeys)))
	m.Section("Keys of the block " + processBlock)
	manualKeys(m, rowsOf(processBlock+".", describe(processKeys)))
	m.Section("Files")
	m.Item("`/etc/nuthatch/nuthatch.yml`", "The file of the packaged service.")
	m.Section("See also")
	m.Paragraph("**nuthatch**(1), **nuthatch-ctl**(1)")
	return m.String()
}

func manualKeys(m *testkit.ManPage, rows []row) {
	for _, r := range rows {
		m.Item("`"+r.name+"`", r.help)
		value := "Value: " + r.form
		if r.span != "" {
			value += ", " + r.span
		}
		m.More(value + ". Default: " + strings.TrimSuffix(r.def, ".") + ".")
		if r.differs != "" {
			m.More("Differs from nutcracker: " + r.differs)
		}
	}
}
