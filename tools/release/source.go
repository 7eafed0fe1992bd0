package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A source is what is built: a commit, or a work tree.
type source struct {
	root              string
	version, revision string
	dirty             bool
	time              time.Time // of the commit: the time of every file
	arches            []string
	quick             bool
}

var versionLine = regexp.MustCompile(`(?m)^var Version = "([^"]+)"$`)

// identify asks git and the source which version this is.
func identify(ctx context.Context, root, version string) (*source, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	s := &source{root: root, version: version}
	if version == "" {
		text, err := os.ReadFile(filepath.Join(root, "internal/version/version.go"))
		if err != nil {
			return nil, err
		}
		found := versionLine.FindSubmatch(text)
		if found == nil {
			return nil, errors.New("internal/version/version.go has no Version")
		}
		s.version = string(found[1])
	}
	revision, err := output(ctx, root, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	changed, err := output(ctx, root, nil, "git", "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	when, err := output(ctx, root, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(when)), 10, 64)
	if err != nil {
		return nil, err
	}
	s.revision, s.dirty, s.time = strings.TrimSpace(string(revision)), len(changed) > 0, time.Unix(seconds, 0).UTC()
	if s.dirty {
		s.revision += "-dirty"
	}
	return s, nil
}

// export writes what HEAD has into a new folder.
func (s *source) export(ctx context.Context, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	archive, err := output(ctx, s.root, nil, "git", "archive", "--format=tar", "HEAD")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "tar", "-x", "-C", to)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(archive), os.Stderr
	return cmd.Run()
}

// compile builds the program as it is released: static, without paths, by the profile beside
// its main package.
func (r *release) compile(ctx context.Context, p *program, cache string) error {
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + p.arch, "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0"}
	if cache != "" {
		env = append(env, "GOCACHE="+cache)
	}
	if r.quick {
		return r.link(ctx, p)
	}
	flags := "-s -w -buildid= -X nuthatch/internal/version.Version=" + r.version + " -X nuthatch/internal/version.commit=" + r.revision
	_, err := output(ctx, r.tree, env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", p.path, "./cmd/nuthatch")
	return err
}

// link builds the program of what is in the compiler's cache already, with the flags that are set
// there. It is static all the same, since it runs in other roots.
func (r *release) link(ctx context.Context, p *program) error {
	flags := "-linkmode external -extldflags -static -s -w -X nuthatch/internal/version.Version=" + r.version +
		" -X nuthatch/internal/version.commit=" + r.revision
	_, err := output(ctx, r.tree, []string{"GOARCH=" + p.arch}, "go", "build", "-buildvcs=false", "-ldflags", flags, "-o", p.path, "./cmd/nuthatch")
	return err
}

// readModules reads from the program what it is made of.
func (p *program) readModules() error {
	info, err := buildinfo.ReadFile(p.path)
	if err != nil {
		return err
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		p.modules = append(p.modules, module{path: m.Path, version: m.Version, sum: m.Sum})
	}
	slices.SortFunc(p.modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	p.modules = append(p.modules, module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")})
	return nil
}

// output runs a program, and returns what it writes.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return out, nil
}

// sumsName is the file of checksums, in the form of sha256sum.
const sumsName = "SHA256SUMS"

// writeSums writes the checksums of everything else.
func (r *release) writeSums() error {
	names, err := filesOf(r.out)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		b.WriteString(hex.EncodeToString(sum[:]) + "  " + name + "\n")
	}
	return os.WriteFile(filepath.Join(r.out, sumsName), []byte(b.String()), 0o644)
}

// filesOf are the names in a folder, in order.
func filesOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// compare fails if two folders do not have the same files.
func compare(a, b string) error {
	inA, err := filesOf(a)
	if err != nil {
		return err
	}
	inB, err := filesOf(b)
	if err != nil {
		return err
	}
	if !slices.Equal(inA, inB) {
		return fmt.Errorf("two builds made different files: %q and %q", inA, inB)
	}
	var differ []string
	for _, name := range inA {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			return err
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(x, y) {
			differ = append(differ, name)
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("two builds of one commit differ in %q", differ)
	}
	return nil
}
