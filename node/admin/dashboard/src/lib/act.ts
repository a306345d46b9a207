// SPDX-License-Identifier: Apache-2.0
// What changes something: asked for first where it destroys, and its result said.
import { ElMessage, ElMessageBox } from "element-plus";
import { ApiError, errorText } from "../api/http";
import { t } from "../i18n";

export async function isSure(title: string, text: string, button: string): Promise<boolean> {
  try {
    await ElMessageBox.confirm(text, title, {
      confirmButtonText: button,
      cancelButtonText: t("act.cancel"),
      confirmButtonClass: "el-button--danger",
      type: "warning",
      autofocus: false,
    });
    return true;
  } catch {
    return false;
  }
}

export async function act(done: string, run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    if (done) ElMessage({ message: done, type: "success" });
    return true;
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    ElMessage({ message: errorText(e), type: "error", duration: 6000, showClose: true });
    return false;
  }
}
