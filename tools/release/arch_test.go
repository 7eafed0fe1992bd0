package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// architectures are what a release is for, under the names that Debian, RPM and ELF have for them.
var architectures = []struct {
	arch, rpm string
	machine   elf.Machine
	qemu      string
}{
	{"amd64", "x86_64", elf.EM_X86_64, "qemu-x86_64-static"},
	{"arm64", "aarch64", elf.EM_AARCH64, "qemu-aarch64-static"},
}

// rpmArch is RPM's name for this machine's.
func rpmArch() string {
	for _, a := range architectures {
		if a.arch == arch {
			return a.rpm
		}
	}
	return arch
}

// TestArchitectures: each package, tarball and image is for the architecture that it names, and the
// program in it too. What this machine cannot run is run by qemu.
func TestArchitectures(t *testing.T) {
	for _, a := range architectures {
		if quick && a.arch != arch {
			continue // not made
		}
		t.Run(a.arch, func(t *testing.T) {
			tarball := result(t, built, "*_linux_"+a.arch+".tar.gz")
			program := unpack(t, tarball)[strings.TrimSuffix(filepath.Base(tarball), ".tar.gz")+"/nuthatch"]
			result(t, built, "*_linux_"+a.arch+".cdx.json")
			checkProgram(t, program, a.machine)

			deb := result(t, built, "*_"+a.arch+".deb")
			if said := strings.TrimSpace(command(t, "dpkg-deb", "-f", deb, "Architecture")); said != a.arch {
				t.Errorf("the .deb is for %q", said)
			}
			root := t.TempDir()
			command(t, "dpkg-deb", "-x", deb, root)
			packed, err := os.ReadFile(filepath.Join(root, "usr/bin/nuthatch"))
			if err != nil || string(packed) != program {
				t.Errorf("the .deb has another program than the tarball: %v", err)
			}

			checkLinks(t, filepath.Join(root, "usr/share/doc/nuthatch"))

			rpm := result(t, built, "*."+a.rpm+".rpm")
			if said := command(t, "rpm", "-qp", "--nosignature", "--qf", "%{ARCH} %{OS}", rpm); said != a.rpm+" linux" {
				t.Errorf("the .rpm is for %q", said)
			}

			conf, layers := imageFor(t, result(t, built, "*_image.tar"), a.arch)
			if conf.Architecture != a.arch {
				t.Errorf("the image's own configuration says %q", conf.Architecture)
			}
			inImage := ""
			for _, layer := range layers {
				plain, err := gzip.NewReader(bytes.NewReader(layer))
				if err != nil {
					t.Fatal(err)
				}
				eachFile(t, plain, func(h *tar.Header, text []byte) {
					if h.Name == "nuthatch" {
						inImage = string(text)
					}
				})
			}
			if inImage != program {
				t.Error("the image has another program than the tarball")
			}

			runs := filepath.Join(t.TempDir(), "nuthatch")
			if err := os.WriteFile(runs, []byte(program), 0o700); err != nil {
				t.Fatal(err)
			}
			line := []string{runs}
			if a.arch != arch {
				line = []string{a.qemu, runs}
			}
			if said := command(t, line[0], append(line[1:], "--version")...); !strings.Contains(said, "for linux/"+a.arch+"\n") {
				t.Errorf("--version says %q", said)
			}
		})
	}
}

var (
	inCode = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	ofLink = regexp.MustCompile(`\]\(([^)\s#]+)`)
	// elsewhere is what a document may link to and a package does not have: sites, and the source.
	elsewhere = regexp.MustCompile(`^[a-z]+:|^(\.\./)?(internal|test|packaging)(/|$)`)
)

// checkLinks fails if a document links to something that the package does not have.
func checkLinks(t *testing.T, dir string) {
	t.Helper()
	checked := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, link := range ofLink.FindAllStringSubmatch(inCode.ReplaceAllString(string(text), ""), -1) {
			if elsewhere.MatchString(link[1]) {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), link[1])); err != nil {
				t.Errorf("%s links to %s", path, link[1])
			}
		}
		return err
	})
	if err != nil || checked < 100 {
		t.Errorf("%d links: %v", checked, err)
	}
}

// checkProgram fails if a program is for another machine, or needs a library.
func checkProgram(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	f, err := elf.NewFile(strings.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != machine || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		t.Errorf("the program is for %v, %v, %v", f.Machine, f.Class, f.Data)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: %v", p.Type)
		}
	}
}
