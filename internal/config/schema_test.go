package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"nuthatch/internal/testkit"
)

// compile compiles a schema, which is held against the schema of draft 2020-12 by that.
func compile(t testing.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("nuthatch.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("nuthatch.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The scalars of YAML 1.2's core schema that are no strings.
var (
	yamlNull  = regexp.MustCompile(`^(|~|null|Null|NULL)$`)
	yamlBool  = regexp.MustCompile(`^(true|True|TRUE|false|False|FALSE)$`)
	yamlInt   = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	yamlFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// instance is what an editor makes of a node: YAML by the core schema of version 1.2,
// as JSON.
func instance(n *yaml.Node) any {
	switch {
	case n == nil || n.Kind == 0:
		return nil
	case n.Kind == yaml.AliasNode:
		return instance(n.Alias)
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, instance(item))
		}
		return list
	case n.Kind == yaml.MappingNode:
		all := make(map[string]any)
		for i := 0; i+1 < len(n.Content); i += 2 {
			all[n.Content[i].Value] = instance(n.Content[i+1])
		}
		return all
	case n.Style&^yaml.TaggedStyle != 0 || n.Style == yaml.TaggedStyle && n.Tag == "!": // quoted, or a block
		return n.Value
	case yamlNull.MatchString(n.Value):
		return nil
	case yamlBool.MatchString(n.Value):
		return strings.EqualFold(n.Value, "true")
	case yamlInt.MatchString(n.Value):
		base := 10 // also for 010
		if strings.HasPrefix(n.Value, "0x") || strings.HasPrefix(n.Value, "0o") {
			base = 0
		}
		i, err := strconv.ParseInt(n.Value, base, 64)
		if err != nil {
			return json.Number("1e30") // as much as any number that is too large
		}
		return json.Number(strconv.FormatInt(i, 10))
	case yamlFloat.MatchString(n.Value):
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			return n.Value
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return n.Value
}

// schemaError is why the schema refuses a file, or nil; ok is false if the file is not YAML.
func schemaError(s *jsonschema.Schema, text []byte) (ok bool, err error) {
	root, fault := decode("", text)
	if fault != nil {
		return false, nil
	}
	return true, s.Validate(instance(root))
}

// docExamples are the files in the documentation.
func docExamples(t *testing.T) map[string][]byte {
	found := make(map[string][]byte)
	for _, path := range append(glob(t, "../../docs/*.md"), "../../README.md") {
		for i, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readTestFile(t, path), -1) {
			if _, err := Parse("", m[1]); err == nil { // a part of a file is none
				found[path+" "+strconv.Itoa(i)] = m[1]
			}
		}
	}
	return found
}

// TestSchemaTakesEveryFile: the examples, those of the documentation, nutcracker's forms,
// and the good files of the tests.
func TestSchemaTakesEveryFile(t *testing.T) {
	files := docExamples(t)
	if len(files) < 2 {
		t.Fatalf("the documentation has %d files", len(files))
	}
	for _, path := range slices.Concat(glob(t, "../../conf/*.yml"), glob(t, "../../examples/*/nuthatch.yml"), glob(t, "testdata/good-*.yml")) {
		files[path] = readTestFile(t, path)
	}
	var object struct{ Data map[string]string }
	if err := yaml.Unmarshal(readTestFile(t, "../../examples/kubernetes/configmap.yml"), &object); err != nil || len(object.Data) == 0 {
		t.Fatalf("the ConfigMap has %d files: %v", len(object.Data), err)
	}
	for name, text := range object.Data {
		files["configmap "+name] = []byte(text)
	}
	for _, c := range lineCases {
		if c.accept {
			files["nutcracker: "+c.name] = []byte(poolsOf(c.lines))
		}
	}
	s := compile(t, Schema())
	for name, text := range files {
		if ok, err := schemaError(s, text); err != nil || !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// beyondSchema are the faulty files, and the faulty lines of nutcracker's forms, that no schema
// can know, and why.
var beyondSchema = map[string]string{
	"bad-admin-open.yml":     "which addresses other hosts can reach",
	"bad-overlap-socket.yml": "listeners in each other's way",
	"bad-overlap.yml":        "listeners in each other's way",

	"timeout hexadecimal": "0x10 is the number 16", "timeout with a sign": "+1 is the number 1", "bool capital": "True is true",
	"key twice":                         "one of them is seen",
	"listen at a long path":             "the length is that of the path, without the mode",
	"server at a long path":             "the length is that of the path",
	"servers of one name":               "names are compared",
	"servers apart by weight":           "names are compared",
	"server named as another's address": "names are compared",
	"server named as another's host":    "names are compared",
	"server with a colon in its host":   "a:b might be an IPv6 address",
	"two modes for one socket":          "listeners in each other's way",
	"two pools at one address":          "listeners in each other's way",
	"server of too large a weight":      "ten digits may be too many",
	"listen at port 65536":              "five digits may be too many",
}

// TestSchemaRefuses every faulty file but those that no schema can know; and it takes those,
// so that the list of them stays true.
func TestSchemaRefuses(t *testing.T) {
	faulty := make(map[string][]byte)
	for _, path := range glob(t, "testdata/bad-*.yml") {
		faulty[filepath.Base(path)] = readTestFile(t, path)
	}
	for _, c := range lineCases {
		if !c.accept {
			faulty[c.name] = []byte(poolsOf(c.lines))
		}
	}
	s := compile(t, Schema())
	for name, text := range faulty {
		ok, err := schemaError(s, text)
		why := beyondSchema[name]
		switch {
		case !ok && why != "":
			t.Errorf("%s is not even YAML", name)
		case ok && err == nil && why == "":
			t.Errorf("%s is taken", name)
		case ok && err != nil && why != "":
			t.Errorf("%s is refused, though no schema can know of %s: %v", name, why, err)
		}
	}
	for name := range beyondSchema {
		if faulty[name] == nil {
			t.Errorf("there is no file %s", name)
		}
	}
}

// TestSchemaOfEveryKey: each key is in the schema, with a description; its default, its bounds
// and the words that it may be are taken, and what is beyond is not.
func TestSchemaOfEveryKey(t *testing.T) {
	s := compile(t, Schema())
	pool := func(line string) string { return "p:\n  listen: a:1\n  servers: [a:1:1]\n  redis: true\n" + line }
	process := func(line string) string { return pool("") + "nuthatch:\n" + line }
	cluster := func(line string) string { return pool("  cluster: true\n" + line) }
	for _, k := range describe(poolKeys) {
		in := pool
		if k.onlyWith == "cluster" {
			in = cluster
		}
		checkSchemaOfKey(t, s, &k, in)
	}
	for _, k := range describe(processKeys) {
		checkSchemaOfKey(t, s, &k, process)
	}
}

// checkSchemaOfKey holds what the schema says of values of a key against what its kind says.
func checkSchemaOfKey(t *testing.T, s *jsonschema.Schema, k *description, file func(line string) string) {
	t.Helper()
	if k.shape != shapeText {
		before, behind := "{", "}\n"
		if k.shape == shapeList {
			before, behind = "[{", "}]\n"
		}
		if k.shape == shapeMap {
			before, behind = "{a: {", "}}\n"
		}
		for i := range k.within {
			inner, rest := &k.within[i], ""
			for j := range k.within {
				other := &k.within[j]
				if (other.required || other.needed) && other.name != inner.name {
					rest += ", " + other.name + ": " + cmp.Or(other.def, "/a")
				}
			}
			checkSchemaOfKey(t, s, inner, func(line string) string {
				return file("  " + k.name + ": " + before + strings.TrimSpace(line) + rest + behind)
			})
		}
		return
	}
	if text := k.text(); text == "" || strings.Contains(text, "](") {
		t.Errorf("%s: described as %q", k.name, text)
	}
	if k.required || k.kind.list || k.whole {
		return
	}
	values := slices.Concat(k.kind.words, []string{
		k.def, "true", "yes", "off", "auto", "-1", "1.5", "12", "'12'", "1kb", "3GB", "1tb",
		"1 kb", "1s", "1m30s", "+2h", ".5h", "5", "0", "s", "1d", "/a", "a/b", "/a 0660", "/a 888", "a:1", "\"*:1\"", "\"[::1]:80\"",
		"text", "ab", "\"{}\"", "{}", "[a]", "[]", "''", "ring", "fnv1a_64", "ketama", "modula ", "json",
	})
	if k.kind.span != nil {
		for _, n := range []int64{k.limits.min - 1, k.limits.min, k.limits.max, k.limits.max + 1} {
			values = append(values, strconv.FormatInt(n, 10))
		}
	}
	for _, text := range values {
		if text == "" || k.name == "redis" || k.name == "reuseport" {
			continue
		}
		content := file("  " + k.name + ": " + text + "\n")
		root, fault := decode("", []byte(content))
		if fault != nil {
			t.Fatalf("%v in\n%s", fault, content)
		}
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(text), &node); err != nil {
			t.Fatal(err)
		}
		err := errNoScalar
		if n := node.Content[0]; n.Kind == yaml.ScalarNode && n.Value != "" {
			_, err = k.kind.parse(k.limits, n.Value)
		}
		taken := s.Validate(instance(root)) == nil
		if err == nil && !taken {
			t.Errorf("%s: %s is refused: %v", k.name, text, s.Validate(instance(root)))
		}
		if err != nil && taken && !rangeOnly(k, text) {
			t.Errorf("%s: %s is taken; %v", k.name, text, err)
		}
	}
}

var errNoScalar = errors.New("expected one value")

// rangeOnly reports whether a value of that form is out of its range in a way that
// a schema cannot tell: with a unit, or in quotes.
func rangeOnly(k *description, text string) bool {
	_, err := k.kind.parse(limits{math.MinInt64, math.MaxInt64}, strings.Trim(text, "'"))
	_, plain := strconv.Atoi(text)
	return err == nil && plain != nil
}

// Blocks, lists of blocks and maps, in each other, have a schema that takes what the reader
// takes, and refuses what it does not.
func TestSchemaOfBlocks(t *testing.T) {
	var b bytes.Buffer
	if err := json.Indent(&b, blockSchema(describe(fleetKeys)).append(nil), "", " "); err != nil {
		t.Fatal(err)
	}
	s := compile(t, b.Bytes())
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{wholeFleet, true},
		{"name: /x\n", false}, // no watches
		{"watches: []\n", false},
		{"watches: {address: /a}\n", false},
		{"watches: [{address: /a}, {address: /b}, {address: /c}, {address: /d}]\n", false}, // at most 3
		{"watches: [{weight: 3}]\n", false},
		{"watches: [{address: /a, weight: 10}]\n", false},
		{"watches: [{address: /a, wait: 1s}]\n", false},
		{"watches: [text]\n", false},
		{"watches: [{address: /a}]\npeople: {bob: {}}\n", false},
		{"watches: [{address: /a}]\npeople: {}\n", false},
		{"watches: [{address: /a}]\npeople: {'[0]': {password: x}}\n", false},
		{"watches: [{address: /a}]\npeople: {bob: {limits: {wait: 1s}}}\n", false}, // no cert
		{"watches: [{address: /a}]\npeople: {bob: {limits: {cert: /c}}}\n", true},
		{"watches: [{address: /a}]\ntls: {}\n", false},
		{"watches: [{address: /a}]\ntls.wait: 1s\n", false},
	} {
		_, faults, _ := parseFleet(t, tt.text)
		_, err := schemaError(s, []byte(tt.text))
		if (faults == "") != tt.ok || (err == nil) != tt.ok {
			t.Errorf("%s: faults %q, and by the schema %v; want it taken: %v", tt.text, faults, err, tt.ok)
		}
	}
}

// Editors read patterns as JavaScript does: those of the schema have nothing that only Go has,
// and are anchored at both ends.
func TestSchemaPatterns(t *testing.T) {
	patterns := regexp.MustCompile(`"pattern": "(.*)"`).FindAllSubmatch(Schema(), -1)
	if len(patterns) == 0 {
		t.Fatal("there are none")
	}
	for _, m := range patterns {
		if p := string(m[1]); !strings.HasPrefix(p, "^") || !strings.HasSuffix(p, "$") || strings.Contains(p, "(?") || strings.Contains(p, `\\z`) {
			t.Errorf("the pattern %s", p)
		}
	}
}

// TestSchemaIsThere: the schema in conf is this version's, and the first lines of the examples
// name it by a path from where they are, or from where the packages put it.
func TestSchemaIsThere(t *testing.T) {
	testkit.CheckFile(t, "../../conf/nuthatch.schema.json", "go test ./internal/config -update", string(Schema()), *update)
	const marker = "# yaml-language-server: $schema="
	for _, path := range append(glob(t, "../../conf/*.yml"), "../../examples/systemd/nuthatch.yml") {
		text, err := TextOf(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		want := "nuthatch.schema.json"
		if strings.Contains(path, "systemd") {
			want = "/usr/share/nuthatch/" + want
		}
		if first != marker+want {
			t.Errorf("%s begins with %q, want %q", path, first, marker+want)
		}
	}
}
