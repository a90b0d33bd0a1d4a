package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// part is the path of a rotated part.
func part(path string, number int) string { return path + "." + strconv.Itoa(number) }

// rotated returns the numbers of the rotated parts, oldest first.
func rotated(path string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	var numbers []int
	for _, entry := range entries {
		suffix, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+".")
		if n, err := strconv.Atoi(suffix); ok && err == nil && n > 0 && strconv.Itoa(n) == suffix {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// rotate renames the file to its number and starts the next one.
func (j *journal) rotate() error {
	if err := j.disk.rename(j.path, part(j.path, j.number)); err != nil {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	old := j.events.f
	f, err := j.disk.openAppend(j.path)
	if err == nil {
		if err = j.disk.syncDir(filepath.Dir(j.path)); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return err // the next Acquire opens everything again
	}
	j.events = appender{disk: j.disk, f: f}
	j.number++
	if err := old.Close(); err != nil {
		j.logger.Warn("close of a rotated file", "error", plain(err).Error())
	}
	if j.keep > 0 {
		j.forget()
	}
	return nil
}

// forget removes the oldest rotated files beyond those to keep. What cannot be removed is tried again at the next
// rotation.
func (j *journal) forget() {
	numbers, err := rotated(j.path)
	for len(numbers) > j.keep && err == nil {
		err = j.disk.remove(part(j.path, numbers[0]))
		numbers = numbers[1:]
	}
	if err != nil {
		j.logger.Warn("remove of an old file", "error", plain(err).Error())
	}
}
