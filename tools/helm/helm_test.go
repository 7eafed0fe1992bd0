package helm

import (
	"maps"
	"path"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	strict "sigs.k8s.io/yaml"
)

const chartPath = "../../charts/nuthatch"

// load reads a file of values as Helm does.
func load(t *testing.T, values string) map[string]any {
	t.Helper()
	all := map[string]any{}
	if err := strict.Unmarshal([]byte(values), &all); err != nil {
		t.Fatalf("%v in\n%s", err, values)
	}
	return all
}

// template is what `helm template shop CHART -n caches` does with these values: it returns the
// text of each template.
func template(values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(chartPath)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(chart, values); err != nil {
		return nil, err
	}
	release := chartutil.ReleaseOptions{Name: "shop", Namespace: "caches", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// lintMessages are the faults, from a warning on, that `helm lint` finds with these values.
func lintMessages(values map[string]any) (found []string) {
	for _, m := range lint.All(chartPath, maps.Clone(values), "caches", true).Messages {
		if m.Severity >= support.WarningSev {
			found = append(found, m.Error())
		}
	}
	return found
}

// objects are what the chart makes of these values, by kind; Secrets by kind and name.
func objects(t *testing.T, values string) map[string]string {
	t.Helper()
	texts, err := template(load(t, values))
	if err != nil {
		t.Fatalf("%v with\n%s", err, values)
	}
	found := map[string]string{}
	for name, text := range texts {
		if path.Base(name) != "NOTES.txt" {
			maps.Copy(found, split(t, text))
		}
	}
	return found
}

// split takes a file of objects apart.
func split(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, doc := range strings.Split("\n"+text, "\n---") {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := strict.Unmarshal([]byte(doc), &head); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		switch head.Kind {
		case "":
		case "Secret":
			found["Secret "+head.Metadata.Name] = doc
		default:
			found[head.Kind] = doc
		}
	}
	return found
}

// as reads an object, and fails if it has a field that its kind does not.
func as[T any](t *testing.T, doc string) *T {
	t.Helper()
	into := new(T)
	if doc == "" {
		t.Fatalf("there is no %T", into)
	}
	if err := strict.UnmarshalStrict([]byte(doc), into); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	return into
}
