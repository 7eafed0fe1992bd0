package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A file is one of an archive. Those of a release belong to root, and have its time.
type file struct {
	name string // slash-separated
	text []byte
	mode int64
}

// archive is a tar with these files in it, and the folders above them, in the order given.
func archive(files []file, when time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{".": true}
	var makeDir func(dir string) error
	makeDir = func(dir string) error {
		if made[dir] {
			return nil
		}
		made[dir] = true
		if err := makeDir(path.Dir(dir)); err != nil {
			return err
		}
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: when})
	}
	for _, f := range files {
		if err := makeDir(path.Dir(f.name)); err != nil {
			return nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.text)), ModTime: when}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// compressed is a text in gzip's form, without a name or a time.
func (s *source) compressed(text []byte) ([]byte, error) {
	level := gzip.BestCompression
	if s.quick {
		level = gzip.BestSpeed
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// texts are what goes with the program wherever it goes, by where the tree has it.
func (r *release) texts(patterns ...string) ([]file, error) {
	var files []file
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(r.tree, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if info, err := os.Stat(name); err != nil || info.IsDir() {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(r.tree, name)
			if err != nil {
				return nil, err
			}
			files = append(files, file{filepath.ToSlash(rel), text, 0o644})
		}
	}
	return files, nil
}

// writeTarballs writes, for each architecture, the program with its documents, examples, manual
// pages and completions.
func (r *release) writeTarballs() error {
	texts, err := r.texts("LICENSE", "*.md", "docs/*", "conf/*", "examples/*/*", "packaging/man/*", "packaging/completions/*")
	if err != nil {
		return err
	}
	for _, p := range r.programs {
		binary, err := os.ReadFile(p.path)
		if err != nil {
			return err
		}
		dir := r.stem(p) + "/"
		files := []file{{dir + "nuthatch", binary, 0o755}, {dir + noticesName, r.notices, 0o644}}
		for _, f := range texts {
			files = append(files, file{dir + strings.TrimPrefix(f.name, "packaging/"), f.text, f.mode})
		}
		whole, err := archive(files, r.time)
		if err != nil {
			return err
		}
		if whole, err = r.compressed(whole); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, r.stem(p)+".tar.gz"), whole, 0o644); err != nil {
			return err
		}
	}
	return nil
}
