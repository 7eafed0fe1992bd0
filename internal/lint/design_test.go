package lint

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

const design = "docs/DESIGN.md"

// section is the part of a page from a heading of the second level to the next.
func section(page, heading string) string {
	_, rest, _ := strings.Cut(page, "\n## "+heading+"\n")
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// treeFaults returns which packages below internal/ the tree of a page lacks, and which it
// has that are not there. Generators of golden data and the like are no part of it.
func treeFaults(page string, dirs map[string]bool) (faults []string) {
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z]+(?:/[a-z]+)?)  +\S`).FindAllStringSubmatch(section(page, "The tree"), -1) {
		named["internal/"+m[1]] = true
		if !dirs["internal/"+m[1]] {
			faults = append(faults, "there is no package internal/"+m[1])
		}
	}
	for dir := range dirs {
		if !named[dir] && !strings.Contains(dir, "/golden") && !strings.HasPrefix(dir, "internal/testkit/") {
			faults = append(faults, "the tree lacks "+dir)
		}
	}
	return faults
}

// capabilityFaults returns which of proxy's capabilities a page has no row for.
func capabilityFaults(page string, files []*source) (faults []string) {
	found := false
	for _, f := range files {
		if f.dir != "internal/proxy" || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "capabilities" {
				return true
			}
			found = true
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				name, ok := field.Type.(*ast.Ident)
				if ok && len(field.Names) > 0 && !strings.Contains(page, "\n| `"+name.Name+"` |") {
					faults = append(faults, "there is no row about the capability "+name.Name)
				}
			}
			return false
		})
	}
	if !found {
		faults = append(faults, "proxy has no type capabilities")
	}
	return faults
}

// TestDesignIsTrue: the packages and capabilities of docs/DESIGN.md are those that there are.
func TestDesignIsTrue(t *testing.T) {
	text, dirs := page(t, design), map[string]bool{}
	for _, f := range tree(t) {
		if strings.HasPrefix(f.dir, "internal/") {
			dirs[f.dir] = true
		}
	}
	for _, fault := range append(treeFaults(text, dirs), capabilityFaults(text, tree(t))...) {
		t.Errorf("%s: %s", design, fault)
	}
}

// TestDesignRulesCatch proves that the checks above can fail.
func TestDesignRulesCatch(t *testing.T) {
	const page = "# Design\n\n## The tree\n\n```\na    one\nb/c  another\n a_* its files\n```\n\n| `Greeter` | Redis |\n\n## More\n\nd  is no part\n"
	if got := treeFaults(page, map[string]bool{"internal/a": true, "internal/b/c": true, "internal/a/golden": true}); len(got) != 0 {
		t.Errorf("a page that is true: %q", got)
	}
	if got := treeFaults(page, map[string]bool{"internal/a": true, "internal/e": true}); len(got) != 2 {
		t.Errorf("a page that has one too many and lacks one: %q", got)
	}
	for text, want := range map[string]int{
		"type capabilities struct { Protocol; greeter Greeter }": 0,
		"type capabilities struct { l Lender; greeter Greeter }": 1,
		"type others struct { l Lender }":                        1,
	} {
		f, err := parse("internal/proxy/capabilities.go", []byte("package proxy\n"+text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := capabilityFaults(page, []*source{f}); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}
