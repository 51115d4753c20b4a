//! The key column, tagged and typed, and whether `_id` stays in the rest.

use super::*;

#[test]
fn the_id_leaves_the_rest_only_when_its_column_gives_back_the_very_value() {
    let id = ObjectId::from_bytes([1; 12]);
    let rest = |ty, id: Bson| {
        let mapping = mapping(ty, vec![column("a", PgType::Text)], Beside::Rest);
        let fields = row(&mapping, &doc! { "_id": id }).expect("a row");
        fields[2].is_some()
    };
    for (ty, value, expected) in [
        (None, Bson::ObjectId(id), false),
        (None, "x\0".into(), false),
        (None, "k".repeat(2_000).into(), true),
        (None, Bson::Symbol("x".into()), true),
        (None, Bson::Int32(5), false),
        (None, Bson::Int64(5), true),
        (None, Bson::Int64(1 << 40), false),
        (None, Bson::Double(5.0), true),
        (None, Bson::Double(0.5), true),
        (None, decimal("5"), true),
        (None, Bson::Null, false),
        (None, date(5), false),
        (None, binary(BinarySubtype::Uuid, &[1; 16]), false),
        (None, Bson::Document(doc! { "a": 1 }), true),
        (Some(PgType::Int8), Bson::Int64(5), false),
        (Some(PgType::Int8), Bson::Int32(5), true),
        (Some(PgType::ObjectId), Bson::ObjectId(id), false),
        (Some(PgType::TimestampTz), date(5), false),
    ] {
        assert_eq!(rest(ty, value.clone()), expected, "{value:?} {ty:?}");
    }
}

#[test]
fn typed_keys_take_one_type_and_park_the_others() {
    let key = |ty, id: Bson| {
        row(&mapping(Some(ty), vec![], Beside::Nothing), &doc! { "_id": id })
            .map(|fields| fields[0].clone().expect("a key"))
            .map_err(|rejection| rejection.code)
    };
    let wrong = Err(RejectCode::KeyType);
    let oid = Bson::ObjectId(ObjectId::from_bytes([0xab; 12]));
    for id in [Bson::Int32(5), Bson::Int64(5), Bson::Double(5.0), decimal("5.0")] {
        assert_eq!(key(PgType::Int8, id), Ok(5_i64.to_be_bytes().to_vec()));
    }
    assert_eq!(key(PgType::Numeric(None), Bson::Double(f64::NAN)), Ok(numeric(0, 0xc000, 0, &[])));
    assert_eq!(key(PgType::ObjectId, oid.clone()), Ok("ab".repeat(12).into_bytes()));
    assert_eq!(key(PgType::Uuid, binary(BinarySubtype::Uuid, &[9; 16])), Ok(vec![9; 16]));
    assert_eq!(key(PgType::TimestampTz, date(946_684_800_001)), Ok(1_000_i64.to_be_bytes().to_vec()));
    assert_eq!(key(PgType::TimestampTz, date(i64::MAX)), Err(RejectCode::TimeRange));
    assert_eq!(key(PgType::Text, "a\0".into()), Err(RejectCode::NulCharacter));
    for (ty, id) in [
        (PgType::Text, oid.clone()),
        (PgType::ObjectId, "ab".repeat(12).into()),
        (PgType::Uuid, "07070707-0707-0707-0707-070707070707".into()),
        (PgType::TimestampTz, "2000-01-01T00:00:00Z".into()),
        (PgType::Int8, "5".into()),
        (PgType::Int8, Bson::Double(f64::NAN)),
        (PgType::Int4, Bson::Int64(1 << 40)),
        (PgType::Int8, oid),
        (PgType::Text, Bson::Null),
    ] {
        assert_eq!(key(ty, id.clone()), wrong, "{id:?} as {ty:?}");
    }
    let mapping = mapping(Some(PgType::ObjectId), vec![column("a", PgType::Text)], Beside::RestAndRaw);
    let mut out = RowSet::default();
    let _ = RowPlan::new(&mapping).delete(b"o:abababababababababababab", VERSION, &mut out).expect("a row");
    let expected = [Some("ab".repeat(12).into_bytes()), None, None, None, Some(77_i64.to_be_bytes().to_vec())];
    assert_eq!(fields(&out.buffer), expected);
    assert_eq!(
        RowPlan::new(&mapping).delete(b"n:1", VERSION, &mut out).map(drop).map_err(|r| r.code),
        wrong.map(|_: Vec<u8>| ())
    );
}
