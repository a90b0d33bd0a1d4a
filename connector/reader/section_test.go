package reader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// So many messages may have been added late among the rows of the horizon that a section shows some of its rows and not
// those above: these are delivered as well.
func TestAccept_aHorizonThatCameApart(t *testing.T) {
	for late := 30; late < 60; late++ {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			d := lostGround(t, 60)
			d.lose()
			d.settle(4)
			for n := range late {
				d.list.Under(5058, connectortest.At(connectortest.Message(9000+n), connectortest.Minute(5058-100_000)))
			}
			d.accept(60, func(int) {})
			for n := 5000; n < 5060; n++ {
				if id := fmt.Sprintf(" m%d* ", n); strings.Count(" "+d.log.Text()+" ", id) != 1 {
					t.Errorf("%s is not delivered once", id)
				}
			}
		})
	}
}
