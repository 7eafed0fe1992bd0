package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheckPart(t *testing.T) {
	const (
		head = "# Title\n\n<!-- begin list: written by `make list` from the table -->\n"
		tail = "<!-- end list -->\n\nThe rest.\n"
	)
	path := filepath.Join(t.TempDir(), "LIST.md")
	for _, tt := range []struct {
		name, doc, want string
		update          bool
		after           string // what the document is then, if it is written
		message         string
	}{
		{name: "the same", doc: head + "a\nb\n" + tail, want: "a\nb\n"},
		{name: "nothing", doc: head + tail},
		{name: "another line", doc: head + "a\nb\n" + tail, want: "a\nc\n", message: `LIST.md:5 is not what the table makes; run: make list
  has   "b\n"
  want  "c\n"`},
		{name: "a line more", doc: head + "a\nb\n" + tail, want: "a\n", message: "has   \"b\\n\"\n  want  \"\""},
		{name: "a line less", doc: head + "a\n" + tail, want: "a\nb\n", message: "has   \"\"\n  want  \"b\\n\""},
		{name: "a blank line more", doc: head + "a\n\n" + tail, want: "a\n", message: "has   \"\\n\"\n  want  \"\""},
		{name: "written", doc: head + "a\n" + tail, want: "c\nd\n", update: true, after: head + "c\nd\n" + tail},
		{name: "no begin", doc: "a\n" + tail, want: "a\n", update: true, message: "has no lines <!-- begin list: "},
		{name: "no end", doc: head + "a\n", want: "a\n", message: "has no lines <!-- begin list: "},
		{name: "no command", doc: "<!-- begin list: by hand -->\na\n" + tail, want: "a\n", message: "has no lines <!-- begin list: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.doc), 0o600); err != nil {
				t.Fatal(err)
			}
			messages := record(t, func(t testing.TB) { CheckPart(t, path, "list", tt.want, tt.update) })
			if tt.message != "" {
				expectOne(t, messages, tt.message)
			} else if len(messages) > 0 {
				t.Errorf("%q", messages)
			}
			if tt.after == "" {
				tt.after = tt.doc
			}
			if got, err := os.ReadFile(path); string(got) != tt.after || err != nil {
				t.Errorf("the document is then %q, %v, want %q", got, err, tt.after)
			}
		})
	}
}
