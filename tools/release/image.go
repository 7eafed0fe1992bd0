package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is who the image's program runs as.
const nobody = 65532

// rootsPath is where Go looks for the certificates that a system trusts.
const rootsPath = "etc/ssl/certs/ca-certificates.crt"

// writeImage writes the image of all architectures as a tar of an OCI layout: what
// `skopeo copy oci-archive:...`, `podman load` and `docker load` read.
func (r *release) writeImage() error {
	work, err := os.MkdirTemp("", "nuthatch-image")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range r.programs {
		image, err := r.image(p)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image,
			Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "linux", Architecture: p.arch},
				Annotations: map[string]string{"org.opencontainers.image.ref.name": r.version},
			},
		})
	}
	if _, err := layout.Write(filepath.Join(work, "image"), index); err != nil {
		return err
	}
	var files []file
	err = filepath.WalkDir(filepath.Join(work, "image"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(filepath.Join(work, "image"), path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		files = append(files, file{filepath.ToSlash(name), text, 0o644})
		return err
	})
	if err != nil {
		return err
	}
	whole, err := archive(files, r.time)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "nuthatch_"+r.version+"_image.tar"), whole, 0o644)
}

// image is the image for one architecture: the program, the certificates that are trusted
// everywhere, and the folders that it needs.
func (r *release) image(p *program) (v1.Image, error) {
	layer, err := r.layer(p)
	if err != nil {
		return nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: packed, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "nuthatch " + r.version},
	})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, r.imageConfig(p, image))
}

func (r *release) imageConfig(p *program, image v1.Image) *v1.ConfigFile {
	conf := v1.ConfigFile{OS: "linux", Architecture: p.arch, Created: v1.Time{Time: r.time}}
	if old, err := image.ConfigFile(); err == nil {
		conf.RootFS, conf.History = old.RootFS, old.History
	}
	conf.Config = v1.Config{
		User:         "65532:65532",
		Env:          []string{"PATH=/"},
		WorkingDir:   "/",
		Entrypoint:   []string{"/nuthatch"},
		Cmd:          []string{"-c", "/etc/nuthatch/nuthatch.yml", "-a", "127.0.0.1"},
		ExposedPorts: map[string]struct{}{"22121/tcp": {}},
		StopSignal:   "SIGTERM",
		Healthcheck: &v1.HealthConfig{
			Test: []string{"CMD", "/nuthatch", "ctl", "ready"}, Interval: 5 * time.Second, Timeout: 3 * time.Second,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "nuthatch",
			"org.opencontainers.image.description": "A proxy that spreads keys over Redis and Memcached servers",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.revision":    r.revision,
		},
	}
	return &conf
}

// layer is the only one.
func (r *release) layer(p *program) ([]byte, error) {
	binary, err := os.ReadFile(p.path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range []struct {
		name  string
		text  []byte // nil of a folder
		mode  int64
		owner int
	}{
		{"nuthatch", binary, 0o755, 0},
		{"etc/", nil, 0o755, 0},
		{"etc/nuthatch/", nil, 0o755, 0},
		{"etc/ssl/", nil, 0o755, 0},
		{"etc/ssl/certs/", nil, 0o755, 0},
		{rootsPath, roots(), 0o644, 0},
		{"run/", nil, 0o755, 0},
		// The folder of the socket for actions.
		{"run/nuthatch/", nil, 0o700, nobody},
		{"tmp/", nil, 0o1777, 0},
		{"usr/", nil, 0o755, 0},
		{"usr/share/", nil, 0o755, 0},
		{"usr/share/doc/", nil, 0o755, 0},
		{"usr/share/doc/nuthatch/", nil, 0o755, 0},
		{"usr/share/doc/nuthatch/" + noticesName, r.notices, 0o644, 0},
	} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, Size: int64(len(e.text)), ModTime: r.time}
		if e.text == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
}

// roots are Mozilla's, as the Go project keeps them. Those that are trusted only under conditions
// are left out: a file of certificates cannot say them.
func roots() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return b.Bytes()
}
