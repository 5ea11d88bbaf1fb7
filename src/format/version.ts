/** What a file says as `wgslim.version`: the one that is written, and the only one that is read. */
export const FORMAT_VERSION = '1';
