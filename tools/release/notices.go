package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/licensecheck"
)

// noticesName is the file of the licenses of what is in the program.
const noticesName = "THIRD-PARTY-NOTICES.txt"

// A module is in the program. The standard library is called std.
type module struct {
	path, version, sum string
	license            string // by SPDX
}

// A notice is a file that goes with a module.
type notice struct {
	name string
	text []byte
}

// licenseFile are the notices that say which license it is.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)

var noticeFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.|-|$)`)

// certain is how much of a file must be a license's text, in percent, to be called it.
const certain = 75

// readNotices reads the licenses of the modules of all programs, and finds out which they are.
func (r *release) readNotices(ctx context.Context) error {
	var b bytes.Buffer
	b.WriteString("nuthatch is licensed under the Apache License 2.0. It contains the following, under these licenses.\n")
	licenses := map[string]string{}
	for _, m := range r.allModules() {
		dir, err := r.dirOf(ctx, m)
		if err != nil {
			return err
		}
		notices, err := noticesIn(dir)
		if err != nil {
			return err
		}
		license := spdx(notices)
		if license == "" {
			return fmt.Errorf("%s %s: no license is known in %s", m.path, m.version, dir)
		}
		licenses[m.path] = license
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n", strings.Repeat("=", 80), m.path, m.version, license)
		for _, n := range notices {
			fmt.Fprintf(&b, "\n---- %s\n\n%s\n", n.name, bytes.TrimSpace(n.text))
		}
	}
	for _, p := range r.programs {
		for i := range p.modules {
			p.modules[i].license = licenses[p.modules[i].path]
		}
	}
	r.notices = b.Bytes()
	return os.WriteFile(filepath.Join(r.out, noticesName), r.notices, 0o644)
}

// allModules are those of all programs, each once.
func (r *release) allModules() []module {
	var all []module
	for _, p := range r.programs {
		for _, m := range p.modules {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all
}

// dirOf is the folder of a module's source.
func (r *release) dirOf(ctx context.Context, m module) (string, error) {
	if m.path == "std" {
		out, err := output(ctx, r.tree, nil, "go", "env", "GOROOT")
		return strings.TrimSpace(string(out)), err
	}
	out, err := output(ctx, r.tree, nil, "go", "mod", "download", "-json", m.path+"@"+m.version)
	if err != nil {
		return "", err
	}
	var found struct{ Dir string }
	err = json.Unmarshal(out, &found)
	return found.Dir, err
}

func noticesIn(dir string) ([]notice, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []notice
	for _, e := range entries {
		if e.IsDir() || !noticeFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		found = append(found, notice{e.Name(), text})
	}
	return found, nil
}

// spdx is the expression of the licenses that notices have; empty if there is none.
func spdx(notices []notice) string {
	var ids []string
	for _, n := range notices {
		if !licenseFile.MatchString(n.name) {
			continue
		}
		cover := licensecheck.Scan(n.text)
		if cover.Percent < certain {
			continue
		}
		for _, match := range cover.Match {
			if !slices.Contains(ids, match.ID) {
				ids = append(ids, match.ID)
			}
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " AND ")
}

// writeBills writes the SBOM of each program, in CycloneDX's form.
func (r *release) writeBills() error {
	for _, p := range r.programs {
		main := component(module{path: "nuthatch", version: r.version, license: "Apache-2.0"}, cdx.ComponentTypeApplication)
		bom := cdx.NewBOM()
		bom.Metadata = &cdx.Metadata{
			Timestamp: r.time.Format("2006-01-02T15:04:05Z"),
			Component: &main,
			Properties: &[]cdx.Property{
				{Name: "nuthatch:commit", Value: r.revision}, {Name: "nuthatch:arch", Value: p.arch},
			},
		}
		var parts []cdx.Component
		var refs []string
		for _, m := range p.modules {
			c := component(m, cdx.ComponentTypeLibrary)
			parts, refs = append(parts, c), append(refs, c.BOMRef)
		}
		bom.Components = &parts
		bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
		var b bytes.Buffer
		if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, r.stem(p)+".cdx.json"), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stem is how the files of a program are called.
func (r *release) stem(p *program) string { return "nuthatch_" + r.version + "_linux_" + p.arch }

func component(m module, kind cdx.ComponentType) cdx.Component {
	purl := "pkg:golang/" + m.path + "@" + m.version
	c := cdx.Component{BOMRef: purl, Type: kind, Name: m.path, Version: m.version, PackageURL: purl}
	if m.license != "" {
		c.Licenses = &cdx.Licenses{{Expression: m.license}}
	}
	if m.sum != "" {
		// Go's own hash, of a module's list of files.
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.sum}}
	}
	return c
}
