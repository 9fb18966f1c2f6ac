package ppms

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that docs/pumapi-oddities.md names for the eleven are there.
func TestOddities(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "pumapi-oddities.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	rows := regexp.MustCompile("(?m)^\\| .+ \\| .+ \\| ((?:`Test\\w+`(?:, )?)+) \\|$").FindAllStringSubmatch(string(doc), -1)
	if len(rows) != 11 {
		t.Errorf("%d oddities with tests instead of 11", len(rows))
	}
	for _, row := range rows {
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(row[1], -1) {
			if !strings.Contains(tests.String(), "func "+name+"(t *testing.T)") {
				t.Errorf("there is no test %s", name)
			}
		}
	}
}
