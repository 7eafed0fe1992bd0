package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What follows is a table of the tests' own, with a block, a list of blocks and a map,
// and with a block and a list in the entries of a map.
type (
	fleet struct {
		Name    string
		TLS     tlsOptions
		Watches []watcher
		People  []person
	}
	tlsOptions struct {
		Cert string
		Wait time.Duration
		Keys []watcher
	}
	watcher struct {
		Address Address
		Weight  int
	}
	person struct {
		Name     string
		Password Secret
		Limits   tlsOptions
		Homes    []watcher
	}
)

var (
	watcherKeys = []key[watcher]{
		{name: "address", kind: kindListen, required: true, set: func(w *watcher, v value) { w.Address = v.address }},
		{
			name: "weight", kind: kindNumber, limits: limits{1, 9}, def: "3", origin: fromNuthatch,
			set: func(w *watcher, v value) { w.Weight = int(v.number) },
		},
	}
	tlsKeys = []key[tlsOptions]{
		{name: "cert", kind: kindPath, required: true, set: func(o *tlsOptions, v value) { o.Cert = v.text }},
		{name: "wait", kind: kindDuration, limits: anyDuration, def: "2s", set: func(o *tlsOptions, v value) { o.Wait = v.duration() }},
		{name: "keys", blocks: listOf(func(o *tlsOptions) *[]watcher { return &o.Keys }, watcherKeys)},
	}
	personKeys = slices.Concat([]key[person]{
		{name: "password", kind: kindSecret, set: func(p *person, v value) { p.Password = Secret(v.text) }},
		{name: "homes", limits: limits{0, 2}, blocks: listOf(func(p *person) *[]watcher { return &p.Homes }, watcherKeys)},
	}, within("limits", func(p *person) *tlsOptions { return &p.Limits }, tlsKeys))
	fleetKeys = slices.Concat([]key[fleet]{
		{name: "name", kind: kindPath, set: func(f *fleet, v value) { f.Name = v.text }},
	}, within("tls", func(f *fleet) *tlsOptions { return &f.TLS }, tlsKeys), []key[fleet]{
		{
			name: "watches", required: true, limits: limits{1, 3},
			blocks: listOf(func(f *fleet) *[]watcher { return &f.Watches }, watcherKeys),
		},
		{
			name:   "people",
			blocks: mapOf(func(f *fleet) *[]person { return &f.People }, func(p *person) *string { return &p.Name }, personKeys),
		},
	})
)

// parseFleet reads a file with the tests' own table.
func parseFleet(t *testing.T, text string) (f fleet, faults, warnings string) {
	t.Helper()
	r := &reader{file: "f"}
	root, err := decode("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b := &block{seen: make(map[string]seenKey)}
	r.blocks = append(r.blocks, b)
	setDefaults(&f, fleetKeys)
	readBlock(r, b, root, &f, fleetKeys, nowhere)
	missing(r, b, root, fleetKeys, "every fleet")
	return f, r.errs.sorted("").Error(), r.findWarnings().Error()
}

const wholeFleet = `
tls:
  cert: /c
  keys: [{address: /k}]
watches:
- address: 127.0.0.1:1
- {weight: 7, address: /run/w}
people:
  bob:
    homes: [{address: /h, weight: 1}]
  al.ice:
    password: $SECRET
    limits: {cert: /l, wait: 0}
`

// A block, a list and a map are read, with the defaults of each block, and blocks
// within them.
func TestBlocks(t *testing.T) {
	got, faults, warnings := parseFleet(t, wholeFleet)
	at := func(text string) Address {
		a, err := ParseListen(text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want := fleet{
		TLS:     tlsOptions{Cert: "/c", Wait: 2 * time.Second, Keys: []watcher{{at("/k"), 3}}},
		Watches: []watcher{{at("127.0.0.1:1"), 3}, {at("/run/w"), 7}},
		People: []person{
			{Name: "bob", Limits: tlsOptions{Wait: 2 * time.Second}, Homes: []watcher{{at("/h"), 1}}},
			{Name: "al.ice", Password: "$SECRET", Limits: tlsOptions{Cert: "/l"}},
		},
	}
	if faults != "" || warnings != "" || !reflect.DeepEqual(got, want) {
		t.Errorf("faults %q, warnings %q, read\n%+v\nwant\n%+v", faults, warnings, got, want)
	}
}

// TestFaultsInBlocks: a fault in a block names the file, the line, the whole way to the
// key, and what was expected, however deep it stands.
func TestFaultsInBlocks(t *testing.T) {
	_, got, _ := parseFleet(t, `watches:
- addressx: 127.0.0.1:1
- address: nowhere
  weight: 10
  weight: 2
- just text
- address: /run/4
people:
  bob: {password: "", homes: [{address: /a}, {address: /b}, {weight: 1}]}
  bob: {}
  carol:
  "dave s3cret":
    limits: {wait: soon}
  "": {}
  [erin]: {}
  "[0]": {}
  frank: &f {homes: {address: /a}}
tls:
  cert: c
  keys:
    address: /k
tls.wait: 5s
peple: {}
`)
	want := `f:2: watches[0].addressx: unknown key; did you mean 'address'?
f:3: watches[1].address: expected host:port or /path [mode], found 'nowhere'
f:4: watches[1].weight: expected a whole number from 1 to 9, found '10'
f:5: watches[1].weight: given twice; the first is on line 4
f:6: watches[2]: expected keys of its own: address, weight
f:7: watches: expected 1 to 3 entries, found 4
f:9: people.bob.password: expected one value: text, found nothing
f:9: people.bob.homes[2].address: missing; every entry needs it (address)
f:9: people.bob.homes: expected 0 to 2 entries, found 3
f:10: people.bob: given twice; the first is on line 9
f:11: people.carol: expected keys of its own: password, homes, limits
f:13: people.dave....limits.cert: missing; 'limits' needs it (path)
f:13: people.dave....limits.wait: expected a duration from 0 to 24h, such as 200ms or 5s, found 'soon'
f:14: people: expected a name
f:15: people: expected a name
f:16: people: a name cannot begin with '['
f:17: people.frank: YAML anchors are not supported: repeat the settings where they are needed, or say them once in 'nuthatch: pool_defaults'
f:19: tls.cert: expected an absolute path, found 'c'
f:21: tls.keys: expected a list, each entry on a line that begins with '- ', with keys of its own: address, weight
f:22: tls.wait: unknown key; it is written as a block: tls: with wait: indented below it
f:23: peple: unknown key; did you mean 'people'?`
	if got != want {
		t.Errorf("faults\n%s\nwant\n%s", got, want)
	}
	_, got, _ = parseFleet(t, "watches: []\npeople: [bob]\ntls: {wait: 1s}\n")
	want = `f:1: watches: expected a list, each entry on a line that begins with '- ', with keys of its own: address, weight
f:2: people: expected names, each with keys of its own indented below: password, homes, limits
f:3: tls.cert: missing; 'tls' needs it (path)`
	if got != want {
		t.Errorf("faults\n%s\nwant\n%s", got, want)
	}
	if _, got, _ = parseFleet(t, "name: /x\n"); got != "f:1: watches: missing; every fleet needs it (list of blocks)" {
		t.Errorf("without a list that it needs: %s", got)
	}
}

// A value that looks like a variable is warned of within blocks too, and a secret is
// not shown.
func TestWarningsInBlocks(t *testing.T) {
	_, faults, got := parseFleet(t, "watches: [{address: \"${HOST}:1\"}]\npeople: {bob: {password: \"${PASSWORD}\"}}\n")
	want := `f:1: watches[0].address: '${HOST}:1' looks like a variable: nuthatch does not replace variables, and uses the text as it stands
f:2: people.bob.password: the value looks like a variable: nuthatch does not replace variables, and uses the text as it stands`
	if faults != "" || got != want {
		t.Errorf("faults %q, warnings\n%s\nwant\n%s", faults, got, want)
	}
}

// Settings are told with the whole way to them, and what a default would be in each block.
func TestSettingsInBlocks(t *testing.T) {
	f, _, _ := parseFleet(t, wholeFleet)
	var got []string
	for _, s := range settings(nil, fleetKeys, &f, &fleet{TLS: tlsOptions{Wait: 2 * time.Second}}) {
		if s.Value != "" {
			got = append(got, s.Key+"="+s.Value+" ("+s.Default+") "+strings.Join(s.Path, "/"))
		}
	}
	want := []string{
		"tls.cert=/c () tls/cert", "tls.wait=2s (2s) tls/wait",
		"tls.keys[0].address=/k () tls/keys/[0]/address", "tls.keys[0].weight=3 (3) tls/keys/[0]/weight",
		"watches[0].address=127.0.0.1:1 () watches/[0]/address", "watches[0].weight=3 (3) watches/[0]/weight",
		"watches[1].address=/run/w () watches/[1]/address", "watches[1].weight=7 (3) watches/[1]/weight",
		"people.bob.homes[0].address=/h () people/bob/homes/[0]/address",
		"people.bob.homes[0].weight=1 (3) people/bob/homes/[0]/weight",
		"people.bob.limits.wait=2s (2s) people/bob/limits/wait",
		"people.al.ice.password=<redacted> () people/al.ice/password",
		"people.al.ice.limits.cert=/l () people/al.ice/limits/cert", "people.al.ice.limits.wait=0 (2s) people/al.ice/limits/wait",
	}
	if !slices.Equal(got, want) {
		t.Errorf("settings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestChangesInBlocks: a change is told of a key in a block; a block that comes or
// goes is told by its keys.
func TestChangesInBlocks(t *testing.T) {
	old, _, _ := parseFleet(t, wholeFleet)
	for _, tt := range []struct{ from, to, want string }{
		{"cert: /c", "cert: /d", "[{tls.cert /c /d}]"},
		{"{address: /k}", "{address: /k, weight: 9}", "[{tls.keys[0].weight 3 9}]"},
		{"{weight: 7, address: /run/w}", "address: /run/w", "[{watches[1].weight 7 3}]"},
		{"- {weight: 7, address: /run/w}\n", "", "[{watches[1].address /run/w } {watches[1].weight 7 }]"},
		{"- {weight", "- address: /x\n- {weight", "[{watches[1].address /run/w /x} {watches[1].weight 7 3} {watches[2].address  /run/w} {watches[2].weight  7}]"},
		{"$SECRET", "other", "[{people.al.ice.password the old one a new one}]"},
		{"limits: {cert: /l, wait: 0}", "limits: {cert: /l}", "[{people.al.ice.limits.wait 0 2s}]"},
		{
			"bob:", "bab:", "[{people.bob.homes[0].address /h } {people.bob.homes[0].weight 1 } {people.bob.limits.wait 2s } " +
				"{people.bab.homes[0].address  /h} {people.bab.homes[0].weight  1} {people.bab.limits.wait  2s}]",
		},
	} {
		changed, faults, _ := parseFleet(t, strings.Replace(wholeFleet, tt.from, tt.to, 1))
		if faults != "" {
			t.Fatal(faults)
		}
		got := changes(nil, fleetKeys, &old, &changed)
		if text := strings.ReplaceAll(strings.ReplaceAll(tt.want, "[{", "{"), "}]", "}"); formatChanges(got) != text {
			t.Errorf("%q for %q: changes\n%s\nwant\n%s", tt.to, tt.from, formatChanges(got), text)
		}
	}
	if got := changes(nil, fleetKeys, &old, &old); len(got) > 0 {
		t.Errorf("changes between a fleet and itself: %v", got)
	}
	got := changes(keyPath{processBlock}, []key[fleet]{{name: "people", blocks: mapOf(
		func(f *fleet) *[]person { return &f.People }, func(p *person) *string { return &p.Name }, personKeys[:1])}}, &fleet{}, &old)
	if want := "{nuthatch.people.bob  {}} {nuthatch.people.al.ice.password  a new one}"; formatChanges(got) != want {
		t.Errorf("entries without a value: changes %s, want %s", formatChanges(got), want)
	}
}

func formatChanges(all []Change) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = "{" + c.Key + " " + c.Old + " " + c.New + "}"
	}
	return strings.Join(texts, " ")
}

// Every key within a block can be read back, which is what changes are found by.
func TestKeysInBlocksAreReadBack(t *testing.T) {
	f, faults, _ := parseFleet(t, `
name: /n
tls: {cert: /c, wait: 3s, keys: [{address: /k}]}
watches: [{address: "127.0.0.1:1"}, {weight: 7, address: /run/w}]
people: {bob: {password: sesame, homes: [{address: /h, weight: 1}], limits: {cert: /l, wait: 0, keys: [{address: /m}]}}}
`)
	if faults != "" {
		t.Fatal(faults)
	}
	readBack(t, fleetKeys, &f)
}

// The documentation has a row for every key in a block, and one for each list and map.
func TestBlocksAreDocumented(t *testing.T) {
	var got []string
	for _, r := range rowsOf("", describe(fleetKeys)) {
		got = append(got, r.name+": "+r.form+", "+r.def+", "+r.span)
	}
	want := []string{
		"name: path, , ", "tls.cert: path, required, ", "tls.wait: duration, `2s`, 0 to 24h",
		"tls.keys: list of blocks, none, ", "tls.keys[].address: address, required, ", "tls.keys[].weight: number, `3`, 1 to 9",
		"watches: list of blocks, required, 1 to 3 entries",
		"watches[].address: address, required, ", "watches[].weight: number, `3`, 1 to 9",
		"people: blocks by name, none, ", "people.NAME.password: text, , ",
		"people.NAME.homes: list of blocks, none, 0 to 2 entries",
		"people.NAME.homes[].address: address, required, ", "people.NAME.homes[].weight: number, `3`, 1 to 9",
		"people.NAME.limits.cert: path, required, ", "people.NAME.limits.wait: duration, `2s`, 0 to 24h",
		"people.NAME.limits.keys: list of blocks, none, ",
		"people.NAME.limits.keys[].address: address, required, ", "people.NAME.limits.keys[].weight: number, `3`, 1 to 9",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
