package config

import (
	"bytes"
	"encoding/json"
	"testing"

	"nuthatch/internal/testkit"
)

// chartSchemaPath is what Helm holds the values of the chart against.
const chartSchemaPath = "../../charts/nuthatch/values.schema.json"

// TestChartSchema compares the schema of the chart's values with the schema of the
// configuration: its pools, and the settings of the process, are what the file has.
func TestChartSchema(t *testing.T) {
	var file struct {
		Schema string          `json:"$schema"`
		Defs   json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &file); err != nil {
		t.Fatal(err)
	}
	values := object{
		{"$schema", file.Schema},
		{"title", "Values of the chart nuthatch"},
		{"type", "object"},
		{"required", []string{"pools"}},
		{"properties", object{
			{"pools", object{
				{"description", "The pools, as in nuthatch.yml. Each listens at a port of all addresses, such as 0.0.0.0:6379."},
				{"type", "object"},
				{"propertyNames", object{{"not", object{{"const", processBlock}}}}},
				{"additionalProperties", object{{"$ref", "#/$defs/pool"}}},
			}},
			{"process", object{{"$ref", "#/$defs/process"}}},
		}},
		{"$defs", file.Defs},
	}
	var b bytes.Buffer
	if err := json.Indent(&b, values.append(nil), "", "  "); err != nil {
		t.Fatal(err)
	}
	testkit.CheckFile(t, chartSchemaPath, "go test ./internal/config -update", b.String()+"\n", *update)
}
