// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from "vite";
import vue from "@vitejs/plugin-vue";
import Components from "unplugin-vue-components/vite";
// @ts-expect-error: plain JavaScript
import { licenses } from "./scripts/licenses.js";
import { ElementPlusResolver } from "unplugin-vue-components/resolvers";

const SHARED = new RegExp([
  "node_modules/(@?vue|@intlify|@?element-plus|lodash|dayjs|async-validator|@floating|@popper|@ctrl|memoize)", "src/(api|i18n)/", "plugin-vue:export-helper",
  "src/lib/(act|clients|format|list|nodes|poll|session|theme)", "src/components/(DataTable|Facts|Icon|LookSwitch|Mark|PageHead|Pager|PasswordFields|Problem|StateTag)",
].join("|"));

// base "./": the dashboard runs under whatever path it is served at. assets/ has content hashes in its names, so
// that browsers may keep it for ever.
export default defineConfig({
  base: "./",
  plugins: [vue(), Components({ dts: false, dirs: [], resolvers: [ElementPlusResolver({ importStyle: "css" })] }), licenses()],
  define: {
    __VUE_OPTIONS_API__: "true",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    __VUE_I18N_FULL_INSTALL__: "false",
    __VUE_I18N_LEGACY_API__: "false",
    __INTLIFY_PROD_DEVTOOLS__: "false",
  },
  build: {
    target: "es2020",
    manifest: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    // A file is a connection: what all pages share is one part, and all styles are one file.
    cssCodeSplit: false,
    rollupOptions: { output: { manualChunks: (id) => (SHARED.test(id) ? "shared" : undefined) } },
  },
  server: { proxy: { "/api": process.env.COVEY_API ?? "http://127.0.0.1:18083" } },
});
