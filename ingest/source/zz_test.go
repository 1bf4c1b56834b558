package source
import ("testing";"github.com/apache/arrow-go/v18/arrow")
func TestZZ(t *testing.T){
	c := connect(t)
	for _, typ := range []arrow.DataType{arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.String} {
	v := `[{"a":0.5}, null, {"a":1.5}, {"a":null}, {"a":2.5}]`
	if typ == arrow.BinaryTypes.String { v = `[{"a":"0.5"}, null, {"a":"1.5"}, {"a":null}, {"a":"2.5"}]` }
	rec := batchOf(t, "x", arrow.StructOf(arrow.Field{Name: "a", Type: typ, Nullable: true}), v)
	for i := int64(0); i<4; i++ {
	r, err := fromBatch(t, c, rec.NewSlice(i, 5))
	t.Log(err, i, rows(t,c,r))
	}
	}
}
