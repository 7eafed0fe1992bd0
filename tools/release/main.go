// Command release builds what nuthatch ships as: programs, tarballs, .deb and .rpm, an
// image, and what goes with them (SBOMs, notices, checksums).
//
//	release -o dist             what HEAD has, built twice and compared
//	release -o dist -tree       what the work tree has, built once: for tests
//
// It is a module of its own, so that its libraries are no part of nuthatch's go.mod.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// flags is the command line.
type flags struct {
	root, out, arch, version string
	tree, quick              bool
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var f flags
	set := flag.NewFlagSet("release", flag.ContinueOnError)
	set.StringVar(&f.root, "root", "../..", "the repository")
	set.StringVar(&f.out, "o", "../../dist", "where the results go")
	set.StringVar(&f.arch, "arch", "amd64,arm64", "the architectures")
	set.StringVar(&f.version, "version", "", "the version, in place of internal/version's")
	set.BoolVar(&f.tree, "tree", false, "build what the work tree has, once")
	set.BoolVar(&f.quick, "quick", false, "with -tree: link the program of what go build has compiled for tests; it is not what is released")
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	s, err := identify(ctx, f.root, f.version)
	if err != nil {
		return err
	}
	s.arches = strings.Split(f.arch, ",")
	if s.quick = f.quick; s.quick && !f.tree {
		return errors.New("-quick is for -tree alone")
	}
	if f.tree {
		return s.build(ctx, s.root, "", f.out)
	}
	return s.twice(ctx, f.out, stdout)
}

// twice builds what HEAD has in two places, the second time with an empty cache, and fails if
// one byte differs.
func (s *source) twice(ctx context.Context, out string, stdout io.Writer) error {
	if s.dirty {
		return errors.New("files are changed: a release is what a commit has (-tree builds what is there)")
	}
	work, err := os.MkdirTemp("", "nuthatch-release")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	again := filepath.Join(work, "again")
	for _, place := range []struct{ tree, cache, out string }{
		{filepath.Join(work, "a"), "", out},
		{filepath.Join(work, "another", "place"), filepath.Join(work, "cache"), again},
	} {
		if err := s.export(ctx, place.tree); err != nil {
			return err
		}
		if err := s.build(ctx, place.tree, place.cache, place.out); err != nil {
			return err
		}
	}
	if err := compare(out, again); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "nuthatch %s of %s: built twice, with the same bytes\n", s.version, s.revision)
	sums, err := os.ReadFile(filepath.Join(out, sumsName))
	if err == nil {
		_, err = stdout.Write(sums)
	}
	return err
}

// build makes everything from a tree into out, which becomes empty first.
func (s *source) build(ctx context.Context, tree, cache, out string) error {
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "nuthatch-programs")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	r := &release{source: *s, tree: tree, out: out}
	for _, arch := range s.arches {
		p := &program{arch: arch, path: filepath.Join(work, arch, "nuthatch")}
		if err := r.compile(ctx, p, cache); err != nil {
			return err
		}
		r.programs = append(r.programs, p)
	}
	return r.pack(ctx)
}

// pack makes everything of programs that are there.
func (r *release) pack(ctx context.Context) error {
	for _, p := range r.programs {
		if err := p.readModules(); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return r.readNotices(ctx) },
		r.writeBills, r.writeTarballs, r.writePackages, r.writeImage, r.writeChart, r.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// A release is one build of everything.
type release struct {
	source
	tree, out string
	programs  []*program
	notices   []byte
}

// A program is nuthatch for one architecture.
type program struct {
	arch, path string
	modules    []module
}

// read returns a file of the tree.
func (r *release) read(name string) ([]byte, error) { return os.ReadFile(filepath.Join(r.tree, name)) }
