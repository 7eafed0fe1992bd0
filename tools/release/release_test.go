package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// distEnv names a folder of results to test, in place of what the work tree makes.
const distEnv = "NUTHATCH_DIST"

// quick is set by `make packages-quick`: the program is linked of what other tests have compiled,
// for this architecture alone.
var quick = os.Getenv("NUTHATCH_PACKAGES") == "quick"

// built is what the work tree makes, made once.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(distEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := folder()
	if err != nil {
		return "", err
	}
	args := []string{"-tree", "-o", dir}
	if quick {
		args = append(args, "-quick", "-arch", arch)
	}
	return dir, run(context.Background(), args, io.Discard)
})

// upgrade is the same program, packed as a later version.
var upgrade = sync.OnceValues(func() (string, error) { return repack(laterVersion) })

const laterVersion = "99.0.0"

// made are the folders that TestMain removes.
var made []string

func TestMain(m *testing.M) {
	status := m.Run()
	for _, dir := range made {
		_ = os.RemoveAll(dir)
	}
	os.Exit(status)
}

// folder is a new one, which stays for all tests.
func folder() (string, error) {
	dir, err := os.MkdirTemp("", "nuthatch-dist")
	made = append(made, dir)
	return dir, err
}

// repack packs the program that is built, as a version.
func repack(version string) (string, error) {
	from, err := built()
	if err != nil {
		return "", err
	}
	work, err := folder()
	if err != nil {
		return "", err
	}
	s, err := identify(context.Background(), "../..", version)
	if err != nil {
		return "", err
	}
	s.quick = quick
	tarballs, err := filepath.Glob(filepath.Join(from, "*_linux_"+arch+".tar.gz"))
	if err != nil || len(tarballs) != 1 {
		return "", fmt.Errorf("tarballs: %q, %w", tarballs, err)
	}
	if out, err := exec.Command("tar", "-x", "-C", work, "--strip-components=1", "-f", tarballs[0]).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	out := filepath.Join(work, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return "", err
	}
	r := &release{source: *s, tree: s.root, out: out, programs: []*program{{arch: arch, path: filepath.Join(work, "nuthatch")}}}
	return out, r.pack(context.Background())
}

// result is the one file of a folder of results whose name matches.
func result(t *testing.T, make func() (string, error), pattern string) string {
	t.Helper()
	dir, err := make()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// await waits for a condition.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// command runs a program, and returns what it says.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestSameBytes: what is packed again in another place is the same, byte for byte. (make release
// compiles again too, with an empty cache.)
func TestSameBytes(t *testing.T) {
	first, err := built()
	if !quick { // what is built is for more architectures
		first, err = repack("")
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := repack("")
	if err != nil {
		t.Fatal(err)
	}
	if err := compare(first, again); err != nil {
		t.Error(err)
	}
	command(t, "sh", "-c", "cd "+first+" && sha256sum --quiet -c "+sumsName)
	if err := os.WriteFile(filepath.Join(again, sumsName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compare(first, again); err == nil || !strings.Contains(err.Error(), sumsName) {
		t.Errorf("a file that differs: %v", err)
	}
}

// unpack returns the files of a .tar.gz.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

// TestTarball: the program runs, and says which version and commit it is.
func TestTarball(t *testing.T) {
	path := result(t, built, "*_linux_"+arch+".tar.gz")
	files := unpack(t, path)
	dir := strings.TrimSuffix(filepath.Base(path), ".tar.gz") + "/"
	for _, name := range []string{"LICENSE", "README.md", "docs/CONFIGURATION.md", "conf/nuthatch.yml", "examples/systemd/nuthatch.service", "man/nuthatch.1", "completions/_nuthatch", noticesName} {
		if files[dir+name] == "" {
			t.Errorf("the tarball has no %s", name)
		}
	}
	program := filepath.Join(t.TempDir(), "nuthatch")
	if err := os.WriteFile(program, []byte(files[dir+"nuthatch"]), 0o700); err != nil {
		t.Fatal(err)
	}
	version := strings.Split(dir, "_")[1]
	if said := command(t, program, "--version"); !regexp.MustCompile("(?s)^This is nuthatch-" + regexp.QuoteMeta(version) +
		"\n.*\ncommit [0-9a-f]{40}(-dirty)?, built by go").MatchString(said) {
		t.Errorf("--version says %q", said)
	}
	if root, err := filepath.Abs("../.."); err != nil || !quick && strings.Contains(files[dir+"nuthatch"], root) {
		t.Errorf("the program has the path that it was built at: %v", err)
	}
}

// TestBillOfMaterials: the SBOM and the notices have every module that the program is made of.
func TestBillOfMaterials(t *testing.T) {
	text, err := os.ReadFile(result(t, built, "*_linux_"+arch+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Metadata               struct{ Component struct{ Version string } }
		Components             []struct {
			Name, Version string
			Licenses      []struct{ Expression string }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	notices, err := os.ReadFile(result(t, built, noticesName))
	if err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version == "" {
		t.Errorf("%+v", bom)
	}
	var names []string
	for _, c := range bom.Components {
		names = append(names, c.Name)
		if len(c.Licenses) != 1 || !strings.Contains(string(notices), "\n"+c.Name+" "+c.Version+" ("+c.Licenses[0].Expression+")\n") {
			t.Errorf("%s %s has the licenses %v, or no notice", c.Name, c.Version, c.Licenses)
		}
	}
	used := command(t, "go", "list", "-C", "../..", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/nuthatch")
	for _, path := range append(strings.Fields(used), "std") {
		if path != "nuthatch" && !slices.Contains(names, path) {
			t.Errorf("the SBOM has no %s", path)
		}
	}
}
