package fleet

import (
	"testing"
	"time"
)

func TestView_Owns(t *testing.T) {
	now := time.Now()
	if !Alone("a", now).Owns("support") {
		t.Error("a replica alone does not own a stream")
	}
	if (View{}).Owns("support") || (View{Self: "a"}).Owns("support") {
		t.Error("a replica without a view owns a stream")
	}
	both := []Member{{ID: "a", Since: now}, {ID: "b", Since: now}}
	if (View{Self: "a", Members: both}).Owns("support") == (View{Self: "b", Members: both}).Owns("support") {
		t.Error("a stream has not exactly one owner")
	}
}
