package regularfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/regularfile"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("text"), 0o600), syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("file", at("link")), os.Symlink("pipe", at("link to pipe"))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		most int
		want error
		says string
	}{
		{at("file"), 4, nil, ""},
		{at("link"), 4, nil, ""},
		{at("file"), 3, nil, "it is larger than 3 bytes"},
		{at("pipe"), 4, regularfile.ErrKind, ""},
		{at("link to pipe"), 4, regularfile.ErrKind, ""},
		{"/dev/null", 4, regularfile.ErrKind, ""},
		{dir, 4, syscall.EISDIR, ""},
		{at("none"), 4, os.ErrNotExist, ""},
	} {
		text, err := regularfile.Read(tt.path, tt.most)
		switch {
		case tt.want == nil && tt.says == "":
			if err != nil || string(text) != "text" {
				t.Errorf("%s: got %q and %v", tt.path, text, err)
			}
		case tt.says != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.says)), tt.want != nil && !errors.Is(err, tt.want):
			t.Errorf("%s, %d: got %q and %v", tt.path, tt.most, text, err)
		}
	}
}
