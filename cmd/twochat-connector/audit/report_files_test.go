package audit

import (
	"os"
	"path/filepath"
	"testing"
)

// The empty files that a killed audit leaves do not keep the same command from going on. A report is not overwritten.
func TestReportFiles_GoOnAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	if _, err := newReportFiles(path); err != nil { // it is killed: nobody closes them
		t.Fatal(err)
	}
	again, err := newReportFiles(path)
	if err != nil {
		t.Fatalf("after a kill: %v", err)
	}
	if err := again.write(&Report{}); err != nil {
		t.Fatal(err)
	}
	again.close()
	if info, err := os.Stat(path + ".json"); err != nil || info.Size() == 0 {
		t.Errorf("the report: %v, %v", info, err)
	}
	if _, err := newReportFiles(path); err == nil {
		t.Error("a report is overwritten")
	}
}
