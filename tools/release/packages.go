package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the form
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // the form
)

// A content is a file of a package: where it goes and where it comes from.
type content struct {
	to, from string
	mode     os.FileMode
	kind     string
}

// contents are what both forms of packages have. What is made by a step before has no from.
func contents() []content {
	return []content{
		{"/usr/bin/nuthatch", "", 0o755, files.TypeFile},
		{"/etc/nuthatch/nuthatch.yml", "examples/systemd/nuthatch.yml", 0o640, files.TypeConfigNoReplace},
		// For root alone: systemd gives the service copies of what is in it.
		{"/etc/nuthatch/secrets", "", 0o700, files.TypeDir},
		{"/usr/lib/systemd/system/nuthatch.service", "examples/systemd/nuthatch.service", 0o644, files.TypeFile},
		{"/usr/lib/systemd/system/nuthatch.socket", "examples/systemd/nuthatch.socket", 0o644, files.TypeFile},
		{"/usr/lib/sysusers.d/nuthatch.conf", "examples/systemd/nuthatch.sysusers", 0o644, files.TypeFile},
		{"/usr/share/bash-completion/completions/nuthatch", "packaging/completions/nuthatch.bash", 0o644, files.TypeFile},
		{"/usr/share/fish/vendor_completions.d/nuthatch.fish", "packaging/completions/nuthatch.fish", 0o644, files.TypeFile},
		{"/usr/share/man/man1/nuthatch.1.gz", "packaging/man/nuthatch.1", 0o644, files.TypeFile},
		{"/usr/share/man/man1/nuthatch-ctl.1.gz", "packaging/man/nuthatch-ctl.1", 0o644, files.TypeFile},
		{"/usr/share/man/man5/nuthatch.yml.5.gz", "packaging/man/nuthatch.yml.5", 0o644, files.TypeFile},
		{"/usr/share/nuthatch/nuthatch.schema.json", "conf/nuthatch.schema.json", 0o644, files.TypeFile},
		{"/usr/share/doc/nuthatch/" + noticesName, noticesName, 0o644, files.TypeFile},
		{"/usr/share/doc/nuthatch/LICENSE", "LICENSE", 0o644, files.TypeFile},
	}
}

// formats are the packages, with what is not at the same place in both.
var formats = []struct {
	name string
	more []content
}{
	{"deb", []content{
		{"/usr/share/zsh/vendor-completions/_nuthatch", "packaging/completions/_nuthatch", 0o644, files.TypeFile},
		{"/usr/share/doc/nuthatch/copyright", "packaging/copyright", 0o644, files.TypeFile},
	}},
	{"rpm", []content{
		{"/usr/share/zsh/site-functions/_nuthatch", "packaging/completions/_nuthatch", 0o644, files.TypeFile},
	}},
}

// writePackages writes a .deb and an .rpm for each architecture.
func (r *release) writePackages() error {
	// As the repository has them, so that the links between them lead somewhere.
	docs, err := r.texts("*.md", "docs/*", "conf/*", "examples/*/*")
	if err != nil {
		return err
	}
	for _, p := range r.programs {
		for _, format := range formats {
			all := append(contents(), format.more...)
			for _, doc := range docs {
				all = append(all, content{"/usr/share/doc/nuthatch/" + doc.name, doc.name, 0o644, files.TypeFile})
			}
			if err := r.writePackage(p, format.name, all); err != nil {
				return fmt.Errorf("%s for %s: %w", format.name, p.arch, err)
			}
		}
	}
	return nil
}

func (r *release) writePackage(p *program, format string, all []content) error {
	work, err := os.MkdirTemp("", "nuthatch-package")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	info := &nfpm.Info{
		Name: "nuthatch", Arch: p.arch, Platform: "linux", Version: r.version, Release: "1", MTime: r.time,
		Section: "net", Priority: "optional", Maintainer: "The nuthatch authors <nuthatch@localhost>", License: "Apache-2.0",
		Description: "proxy for Redis and Memcached, successor of twemproxy\n" +
			"Spreads the keys of a pool over several servers, so that applications see one\n" +
			"address. Takes the configuration and the options of nutcracker (twemproxy).",
	}
	info.Umask = 0o022
	info.Suggests = []string{"redis-tools"}
	info.RPM.Group, info.RPM.BuildHost = "System Environment/Daemons", "localhost"
	info.RPM.Summary = "Proxy for Redis and Memcached, successor of twemproxy"
	if r.quick {
		info.Deb.Compression, info.RPM.Compression = "none", "gzip:1"
	}
	info.Scripts = nfpm.Scripts{
		PostInstall: filepath.Join(r.tree, "packaging/scripts/postinst.sh"),
		PreRemove:   filepath.Join(r.tree, "packaging/scripts/prerm.sh"),
		PostRemove:  filepath.Join(r.tree, "packaging/scripts/postrm.sh"),
	}
	for i, c := range all {
		entry := &files.Content{Destination: c.to, Type: c.kind, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: c.mode, MTime: r.time}}
		if c.kind != files.TypeDir {
			if entry.Source, err = r.sourceOf(p, c, filepath.Join(work, fmt.Sprint(i))); err != nil {
				return err
			}
		}
		info.Contents = append(info.Contents, entry)
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := packager.Package(info, out); err != nil {
		return err
	}
	return out.Close()
}

// sourceOf is the path of a file's text; one that has to be made is made at made.
func (r *release) sourceOf(p *program, c content, made string) (string, error) {
	switch {
	case c.from == "":
		return p.path, nil
	case c.from == noticesName:
		return filepath.Join(r.out, noticesName), nil
	case !strings.HasSuffix(c.to, ".gz"):
		return filepath.Join(r.tree, c.from), nil
	}
	text, err := r.read(c.from)
	if err != nil {
		return "", err
	}
	if text, err = r.compressed(text); err != nil {
		return "", err
	}
	return made, os.WriteFile(made, text, 0o600)
}
