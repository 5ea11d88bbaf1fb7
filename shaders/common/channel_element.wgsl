// Where element `i` of channel `channel` lies in a tensor [outer][channels][inner].
fn channel_element(i: u32, channel: u32, channels: u32, inner: u32) -> u32 {
  return (i / inner * channels + channel) * inner + i % inner;
}
