package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// An imageConfig is what the test looks at in the image's own configuration.
type imageConfig struct {
	Architecture string
	Config       struct {
		User, WorkingDir, StopSignal string
		Env, Entrypoint, Cmd         []string
		Healthcheck                  struct{ Test []string }
	}
}

// unpackImage unpacks the image for this machine into root as a runtime would.
func unpackImage(t *testing.T, path, root string) imageConfig {
	t.Helper()
	conf, layers := imageFor(t, path, arch)
	for _, layer := range layers {
		plain, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			t.Fatal(err)
		}
		eachFile(t, plain, func(h *tar.Header, text []byte) { unpackFile(t, root, h, text) })
	}
	return conf
}

// imageFor finds the image for an architecture by the layout's index, its manifest and its
// configuration.
func imageFor(t *testing.T, path, arch string) (conf imageConfig, layers [][]byte) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blobs := map[string][]byte{}
	eachFile(t, bytes.NewReader(whole), func(h *tar.Header, text []byte) { blobs[h.Name] = text })
	type descriptor struct {
		Digest   string
		Platform struct{ Architecture string }
	}
	blob := func(digest string) []byte { return blobs["blobs/"+strings.Replace(digest, ":", "/", 1)] }
	var index struct{ Manifests []descriptor }
	decode(t, blobs["index.json"], &index)
	if !strings.Contains(string(blobs["oci-layout"]), "1.0.0") {
		t.Errorf("this is no OCI layout: %q", blobs["oci-layout"])
	}
	for _, m := range index.Manifests {
		if m.Platform.Architecture != arch {
			continue
		}
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		decode(t, blob(m.Digest), &manifest)
		decode(t, blob(manifest.Config.Digest), &conf)
		for _, layer := range manifest.Layers {
			layers = append(layers, blob(layer.Digest))
		}
		return conf, layers
	}
	t.Fatalf("no image for %s in %+v", arch, index)
	return conf, nil
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

func eachFile(t *testing.T, from io.Reader, visit func(h *tar.Header, text []byte)) {
	t.Helper()
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		visit(h, text)
	}
}

func unpackFile(t *testing.T, root string, h *tar.Header, text []byte) {
	t.Helper()
	path := filepath.Join(root, h.Name)
	var err error
	if h.Typeflag == tar.TypeDir {
		err = os.MkdirAll(path, 0o755)
	} else {
		err = os.WriteFile(path, text, 0o600)
	}
	err = errors.Join(err, os.Chown(path, h.Uid, h.Gid), os.Chmod(path, h.FileInfo().Mode()))
	if err != nil {
		t.Fatal(err)
	}
}

// TestImage unpacks the image and runs it in namespaces of its own, by its own configuration.
func TestImage(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := unpackImage(t, result(t, built, "*_image.tar"), root)
	leaveTheMachine(t)
	mountProc(t, root)
	startRedis(t, "6379", "6380")
	yaml := "sessions:\n  listen: 0.0.0.0:22121\n  redis: true\n  servers:\n    - 127.0.0.1:6379:1 a\n    - 127.0.0.1:6380:1 b\n"
	if err := os.WriteFile(filepath.Join(root, "etc/nuthatch/nuthatch.yml"), []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	uid, gid, ok := strings.Cut(conf.Config.User, ":")
	user, err := strconv.ParseUint(uid, 10, 32)
	group, errGroup := strconv.ParseUint(gid, 10, 32)
	if !ok || err != nil || errGroup != nil || user == 0 {
		t.Fatalf("the image's user is %q", conf.Config.User)
	}
	inside := func(line []string) *exec.Cmd {
		cmd := inRoot(root, line...)
		cmd.Dir, cmd.Env = conf.Config.WorkingDir, conf.Config.Env
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(group)}
		return cmd
	}
	proxy := inside(append(append([]string{}, conf.Config.Entrypoint...), conf.Config.Cmd...))
	proxy.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	proxy.Stderr = os.Stderr
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Process.Kill() })
	check := conf.Config.Healthcheck.Test
	if len(check) < 2 || check[0] != "CMD" {
		t.Fatalf("the health check is %q", check)
	}
	await(t, "the health check is content", func() bool { return inside(check[1:]).Run() == nil })
	serves(t, "127.0.0.1:22121")
	if out, err := inside([]string{"/nuthatch", "ctl", "-c", "/etc/nuthatch/nuthatch.yml", "reload"}).CombinedOutput(); err != nil {
		t.Errorf("a reload: %v\n%s", err, out)
	}
	if conf.Config.StopSignal != "SIGTERM" {
		t.Errorf("it is ended by %s", conf.Config.StopSignal)
	}
	if err := proxy.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
	if inside(check[1:]).Run() == nil {
		t.Error("the health check is content without a proxy")
	}
	if roots, err := os.ReadFile(filepath.Join(root, rootsPath)); err != nil || strings.Count(string(roots), "BEGIN CERTIFICATE") < 50 {
		t.Errorf("the certificates that are trusted: %v", err)
	}
}
