package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/*.err and the reference in docs/CONFIGURATION.md")

// TestFaults compares all that is said of each faulty file with what is on record.
func TestFaults(t *testing.T) {
	for _, path := range glob(t, "testdata/bad-*.yml") {
		name := filepath.Base(path)
		t.Run(strings.TrimSuffix(name, ".yml"), func(t *testing.T) {
			text := readTestFile(t, path)
			cfg, err := Parse(name, text)
			if err == nil {
				t.Fatalf("%s was accepted: %+v", path, cfg)
			}
			var faults Errors
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("the error is a %T without faults, want Errors", err)
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "s3cret") {
				t.Errorf("the faults show a password:\n%s", got)
			}
			golden := strings.TrimSuffix(path, ".yml") + ".err"
			if *update {
				writeFile(t, golden, []byte(got))
			}
			if want := string(readTestFile(t, golden)); got != want {
				t.Errorf("faults of %s:\n%swant:\n%s", name, got, want)
			}
		})
	}
}

// TestExamples loads the example files, and the good ones of the tests.
func TestExamples(t *testing.T) {
	paths := append(glob(t, "../../conf/*.yml"), glob(t, "testdata/good-*.yml")...)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			cfg, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.File != path || len(cfg.Pools) == 0 || cfg.Process.Threads < 1 {
				t.Errorf("Load(%q) = %+v, want its name, some pools and a number of threads", path, cfg)
			}
		})
	}
}

// glob fails the test if nothing matches, so that a moved directory is noticed.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	return paths
}

func readTestFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
