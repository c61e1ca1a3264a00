// The part of the js-md5 package that programs use, over node's own hash function.
'use strict';
const { createHash } = require('crypto');
const hash = (message) => createHash('md5').update(typeof message === 'string' ? message : Buffer.from(message));
const md5 = (message) => hash(message).digest('hex');
md5.hex = md5;
md5.array = (message) => [...hash(message).digest()];
md5.digest = md5.array;
md5.arrayBuffer = (message) => new Uint8Array(hash(message).digest()).buffer;
md5.buffer = md5.arrayBuffer;
md5.base64 = (message) => hash(message).digest('base64');
md5.create = () => {
  const parts = [];
  const whole = () => Buffer.concat(parts);
  const self = {
    update: (message) => { parts.push(Buffer.from(message)); return self; },
    hex: () => md5.hex(whole()), toString: () => md5.hex(whole()), array: () => md5.array(whole()),
    digest: () => md5.array(whole()), arrayBuffer: () => md5.arrayBuffer(whole()), base64: () => md5.base64(whole()),
  };
  return self;
};
md5.update = (message) => md5.create().update(message);
md5.md5 = md5;
module.exports = md5;
