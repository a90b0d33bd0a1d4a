package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// pending is what the current commit is about to append. It is written beside the records before the commit appends. If
// the program ends between the lines and their record, each line that is adopted is compared with it. It is not synced,
// as it need not survive a crash of the machine: without it a line is checked only by itself (see verified).
type pending struct {
	Part       int     `json:"part"`
	Events     lineSet `json:"events"`
	Quarantine lineSet `json:"quarantine"`
}

// lineSet is a run of consecutive lines in a file.
type lineSet struct {
	From  int64     `json:"from"`
	Lines []lineSum `json:"lines"`
}

// lineSum is the length of a line, including its end, and its CRC-32C.
type lineSum [2]uint32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumLine(line []byte) lineSum {
	return lineSum{uint32(len(line)), crc32.Checksum(line, castagnoli)}
}

func newLineSet(from int64, data []byte) lineSet {
	set := lineSet{From: from}
	for line := range bytes.Lines(data) {
		set.Lines = append(set.Lines, sumLine(line))
	}
	return set
}

// agrees reports whether a line, without its end, is the one that was to be written there. It is true if nothing is
// known about the place.
func (s lineSet) agrees(at int64, line []byte) bool {
	begin := s.From
	for _, sum := range s.Lines {
		end := begin + int64(sum[0])
		if at < end && at+int64(len(line)) >= begin {
			return at == begin && sumLine(append(bytes.Clone(line), '\n')) == sum
		}
		begin = end
	}
	return true
}

func (f *folder) pendingPath() string { return filepath.Join(f.dir, "pending") }

// announce records what is about to be appended.
func (f *folder) announce(p pending) error {
	object, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode what is about to be written: %w", err)
	}
	sealed := Seal(object)
	// The file is overwritten in place: some file systems flush a truncated file when it is closed.
	file, err := f.disk.openWrite(f.pendingPath())
	if err != nil {
		return err
	}
	if err = f.disk.write(file, sealed); err == nil {
		err = file.Truncate(int64(len(sealed)))
	}
	return errors.Join(err, file.Close())
}

// announced reads what announce wrote. It is torn if the program or the machine ended during the write.
func (f *folder) announced() (pending, error) {
	raw, err := os.ReadFile(f.pendingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return pending{}, nil
	}
	if err != nil {
		return pending{}, fmt.Errorf("read what was about to be written: %w", plain(err))
	}
	var p pending
	object, err := Unseal(raw, "")
	if err != nil || json.Unmarshal(object, &p) != nil {
		return pending{}, nil
	}
	return p, nil
}
