use super::*;

const SIZE: Size = Size { rows: 5, cols: 20 };

fn items(dir: &Path) -> Vec<Item> {
    let mut reader = open(dir);
    std::iter::from_fn(|| reader.next_item().expect("readable")).collect()
}

fn bytes(items: &[Item]) -> Vec<u8> {
    let outputs = items.iter().filter_map(|item| match item {
        Item::Output { bytes, .. } => Some(bytes.as_slice()),
        _ => None,
    });
    outputs.collect::<Vec<_>>().concat()
}

/// Bytes that do not compress, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x.to_le_bytes()[0]
        })
        .collect()
}

#[test]
fn what_was_written_is_read_with_its_times() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut writer = Writer::new(dir.path().join("t"), 0, SIZE, 1234);
    writer.output(10, b"one");
    writer.resize(20, Size { rows: 9, cols: 30 });
    writer.output(1_500_000, b"two\xe2\x82");
    writer.output(1_600_000, b"\xac");
    writer.finish();
    let items = items(&dir.path().join("t"));
    assert_eq!(items[0], Item::Start { wall_ms: 1234, size: SIZE });
    assert_eq!(items[1], Item::Output { at_us: 10, bytes: b"one".to_vec() });
    assert_eq!(items[2], Item::Resize { at_us: 20, size: Size { rows: 9, cols: 30 } });
    assert_eq!(items[3], Item::Output { at_us: 1_500_000, bytes: b"two\xe2\x82".to_vec() });
    let mut cast = Cast::new();
    let lines: Vec<String> = items.iter().flat_map(|item| cast.push(item)).collect();
    assert_eq!(
        lines,
        [
            r#"{"height":5,"timestamp":1,"version":2,"width":20}"#,
            r#"[0.000010, "o", "one"]"#,
            r#"[0.000020, "r", "30x9"]"#,
            r#"[1.500000, "o", "two"]"#,
            r#"[1.600000, "o", "€"]"#,
        ]
    );
}

#[test]
fn several_starts_make_one_cast_with_markers() {
    let small = Size { rows: 2, cols: 9 };
    let start = |size| Item::Start { wall_ms: 1, size };
    let output = |at_us, text: &str| Item::Output { at_us, bytes: text.as_bytes().to_vec() };
    let mut cast = Cast::new();
    // A start that left nothing is none.
    cast.next_start("start 2");
    let mut lines: Vec<String> = Vec::new();
    lines.extend([start(SIZE), output(2_000_000, "one")].iter().flat_map(|item| cast.push(item)));
    lines.extend(cast.push(&output(2_500_000, "a€")));
    cast.push(&Item::Output { at_us: 2_600_000, bytes: vec![0xe2] });
    cast.next_start("start 3");
    lines.extend([start(small), output(10, "two")].iter().flat_map(|item| cast.push(item)));
    assert_eq!(
        lines[1..],
        [
            r#"[2.000000, "o", "one"]"#,
            r#"[2.500000, "o", "a€"]"#,
            r#"[3.500000, "m", "start 3"]"#,
            r#"[3.500000, "r", "9x2"]"#,
            r#"[3.500000, "o", "\u001bc"]"#,
            r#"[3.500010, "o", "two"]"#,
        ]
    );
}

#[test]
fn a_reader_follows_the_writer() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("t");
    let mut reader = open(&path);
    assert_eq!(reader.next_item().expect("absent is empty"), None);
    let mut writer = Writer::new(path, 0, SIZE, 0);
    for n in 0_u8..5 {
        writer.output(u64::from(n), &[n]);
        writer.rest();
        let mut last = None;
        while let Some(item) = reader.next_item().expect("readable") {
            last = Some(item);
        }
        assert_eq!(last, Some(Item::Output { at_us: u64::from(n), bytes: vec![n] }));
    }
}

#[test]
fn over_the_cap_head_and_tail_are_kept_and_the_gap_is_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("t");
    let (cap, data) = (1 << 20, noise(8 << 20));
    let mut writer = Writer::new(path.clone(), cap, SIZE, 0);
    for chunk in data.chunks(4096) {
        writer.output(0, chunk);
    }
    writer.finish();
    let disk: u64 =
        std::fs::read_dir(&path).expect("dir").map(|e| e.expect("entry").metadata().expect("meta").len()).sum();
    // A segment ends with the frame that fills it.
    assert!(disk <= cap + SEGMENTS * (FRAME as u64 + 4096), "{disk} bytes on disk");
    let items = items(&path);
    let kept = bytes(&items);
    let gaps: Vec<u64> =
        items.iter().filter_map(|i| if let Item::Gap { bytes } = i { Some(*bytes) } else { None }).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(kept.len() as u64 + gaps[0], data.len() as u64);
    assert!(data.starts_with(&kept[..(cap / 8) as usize]));
    assert!(data.ends_with(&kept[kept.len() - (cap / 4) as usize..]));
}

#[test]
fn a_torn_end_is_not_read_and_does_not_stop_the_rest() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("t");
    let mut writer = Writer::new(path.clone(), 0, SIZE, 0);
    writer.output(0, b"whole");
    writer.flush();
    let file = segment(&path, 0);
    let whole = std::fs::read(&file).expect("read");
    writer.output(1, b"torn");
    writer.finish();
    let full = std::fs::read(&file).expect("read");
    for len in whole.len()..full.len() {
        std::fs::write(&file, &full[..len]).expect("cut");
        assert_eq!(bytes(&items(&path)), b"whole", "{len} bytes");
    }
}

#[test]
fn what_cannot_be_written_is_counted_and_told() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("t");
    // A file in the way of the folder: every write fails until it is gone.
    std::fs::write(&path, b"").expect("block");
    let mut writer = Writer::new(path.clone(), 0, SIZE, 0);
    writer.output(0, b"lost");
    writer.flush();
    assert_eq!(writer.lost(), 4);
    assert!(writer.take_fault().expect("said").starts_with("cannot write the transcript"));
    std::fs::remove_file(&path).expect("unblock");
    writer.output(1, b"kept");
    writer.finish();
    assert_eq!(writer.take_fault(), Some(lost_text(4)), "what it has cost is said once it is over");
    let items = items(&path);
    let kept = Item::Output { at_us: 1, bytes: b"kept".to_vec() };
    assert_eq!(items[1..], [Item::Gap { bytes: 4 }, Item::Resize { at_us: 0, size: SIZE }, kept]);
}

#[test]
fn text_is_what_a_person_saw() {
    let output = |text: &str| Item::Output { at_us: 0, bytes: text.as_bytes().to_vec() };
    let mut lines = TextLines::new();
    let mut got = lines.push(&Item::Start { wall_ms: 0, size: SIZE });
    got.extend(lines.push(&output("\x1b[31mred\x1b[0m\r\nprogress 1%\rprogress 99%\r\n")));
    got.extend(lines.settle());
    assert_eq!(got, ["red", "progress 99%"]);
    got.clear();
    got.extend(lines.push(&output("0123456789012345678901234\r\na\r\nb\r\nc\r\nd\x1b]0;t\x07")));
    got.extend(lines.push(&output("\x1b[?1049h\x1b[Hmenu\x1b[?1049l")));
    got.extend(lines.finish());
    assert_eq!(got, ["menu", "0123456789012345678901234", "a", "b", "c", "d"]);
}
