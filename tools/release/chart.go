package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var chartVersion = regexp.MustCompile(`(?m)^(version: |appVersion: ).*$`)

// writeChart writes the chart as Helm packages one. Its version is the release's.
func (r *release) writeChart() error {
	files, err := r.texts("charts/nuthatch/*", "charts/nuthatch/templates/*")
	if err != nil {
		return err
	}
	var all []file
	for _, f := range files {
		f.name = strings.TrimPrefix(f.name, "charts/")
		if f.name == "nuthatch/Chart.yaml" {
			f.text = chartVersion.ReplaceAll(f.text, []byte("${1}"+r.version))
		}
		all = append(all, f)
	}
	whole, err := archive(all, r.time)
	if err != nil {
		return err
	}
	if whole, err = r.compressed(whole); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "nuthatch-"+r.version+".tgz"), whole, 0o644)
}
